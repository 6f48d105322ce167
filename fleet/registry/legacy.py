"""Terminals of other makers, many at a time: put into the registry with their places."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.registry import legacy_ids
from fleet.registry.operations import now_us
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal

KIND = "legacy"  # of a terminal


class Arrival(NamedTuple):
    """A terminal, by its owner's number, and where it stands."""

    number: str
    kind: str
    asset: str
    site: str
    area: str
    area_name: str  # where the area is new


class Said(NamedTuple):
    """What is so of a terminal and its asset; an empty number is not known, a position may be."""

    terminal: Terminal
    asset: Asset
    kind: str
    area: str
    imei: str
    iccid: str
    position: tuple[int, int] | None  # 1e-7 degrees


def add(
    session: Session, arrivals: Sequence[Arrival], assets: Mapping[str, Asset]
) -> dict[str, tuple[Terminal, Asset]]:
    """Make terminals with installations, and what they lack of areas, sites and assets; by number.

    `assets`: those that are there, by name. Of two arrivals none has the other's number or asset.
    """
    now = now_us()
    places = _assets(session, [one for one in arrivals if one.asset not in assets])
    ids = _ids(session, [one.number for one in arrivals])
    found = {}
    for one in arrivals:
        terminal = Terminal(
            id=ids[one.number], kind=KIND, role=one.kind, state="active", area_code=one.area,
            added_us=now,
        )  # fmt: skip
        found[one.number] = terminal, assets.get(one.asset) or places[one.asset]
    session.add_all(terminal for terminal, _ in found.values())
    session.flush()
    session.add_all(
        Installation(
            terminal_id=terminal.id, asset_id=asset.id, from_us=now, open_for=terminal.id,
            register_offset=0,
        )
        for terminal, asset in found.values()
    )  # fmt: skip
    return found


def correct(session: Session, several: Sequence[Said]) -> None:
    """Write what is so. One may give up an IMEI or ICCID that another one takes."""
    for said in several:
        terminal = said.terminal
        terminal.imei = terminal.imei if terminal.imei == said.imei else None
        terminal.iccid = terminal.iccid if terminal.iccid == said.iccid else None
    session.flush()
    for said in several:
        said.terminal.imei, said.terminal.iccid = said.imei or None, said.iccid or None
        said.terminal.area_code, said.terminal.role = said.area, said.kind
        said.asset.kind = said.kind
        if said.position is not None:
            said.asset.latitude_e7, said.asset.longitude_e7 = said.position
    session.flush()


def _assets(session: Session, homeless: Sequence[Arrival]) -> dict[str, Asset]:
    _areas(session, homeless)
    keys = dict.fromkeys((one.area, one.site) for one in homeless)
    names = {name for _, name in keys}
    rows = session.scalars(select(Site).where(Site.name.in_(names)).order_by(Site.id.desc()))
    sites = {(site.area_code, site.name): site for site in rows}
    for key in keys:
        if key not in sites:
            sites[key] = Site(area_code=key[0], name=key[1])
            session.add(sites[key])
    session.flush()
    made = {
        one.asset: Asset(site_id=sites[one.area, one.site].id, kind=one.kind, name=one.asset)
        for one in homeless
    }
    session.add_all(made.values())
    session.flush()
    return made


def _areas(session: Session, arrivals: Iterable[Arrival]) -> None:
    names = {one.area: one.area_name for one in arrivals}
    known = set(session.scalars(select(Area.code).where(Area.code.in_(names))))
    session.add_all(Area(code=code, name=names[code]) for code in sorted(names.keys() - known))
    session.flush()


def _ids(session: Session, numbers: list[str]) -> dict[str, str]:
    """A free id for each number."""
    several = {number: legacy_ids.candidates(number) for number in numbers}
    first = [ids[0] for ids in several.values()]
    used = set(session.scalars(select(Terminal.id).where(Terminal.id.in_(first))))
    found: dict[str, str] = {}
    for number, ids in several.items():
        # Of a million numbers one or none has the hash of another.
        found[number] = next(
            each
            for each in ids
            if each not in used and (each == ids[0] or session.get(Terminal, each) is None)
        )
        used.add(found[number])
    return found
