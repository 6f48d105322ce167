"""Bring an inventory in: asset, terminal, IMEI, card, site and area joined, a report per line.

A line is taken in with what is right in it; what is wrong is kept as a fault of the terminal until
a later import says better. Twice the same file changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import NamedTuple, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.migration import entries
from fleet.migration.entries import Entry
from fleet.migration.inventory_tables import InventoryFault, LegacyTerminal
from fleet.migration.known import Known
from fleet.migration.sheets import Sheet
from fleet.migration.twice import Twice
from fleet.registry import legacy_ids
from fleet.registry.operations import now_us
from fleet.registry.tables import Area, Asset, Installation, Site, Terminal

CHUNK = 500  # lines of one transaction: others must write, too
ADDED, CHANGED, SAME, REFUSED = "added", "changed", "same", "refused"
T = TypeVar("T")


class Told(NamedTuple):
    """What became of a line: `faults` are (code, what and what to do)."""

    line: int
    number: str
    outcome: str
    faults: tuple[tuple[str, str], ...]


def bring_in(database: Database, sheet: Sheet) -> Iterator[Told]:
    """All lines of a sheet, some in each transaction; a run that is cut is simply run again."""
    return _all(database, sheet, _kept)


def rehearse(database: Database, sheet: Sheet) -> Iterator[Told]:
    """The same, and nothing of it stays."""
    return _all(database, sheet, _dropped)


@contextmanager
def _kept(database: Database) -> Iterator[Session]:
    with database.begin() as session:
        yield session


@contextmanager
def _dropped(database: Database) -> Iterator[Session]:
    with database.begin() as session:
        yield session
        session.rollback()


def _all(
    database: Database, sheet: Sheet,
    transaction: Callable[[Database], AbstractContextManager[Session]],
) -> Iterator[Told]:  # fmt: skip
    twice = Twice()
    for chunk in chunks(map(entries.read, sheet)):
        twice.note(chunk)
    for chunk in chunks(map(entries.read, sheet)):
        with transaction(database) as session:
            told = _chunk(session, chunk, twice, sheet.name)
        yield from told


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Lists of so many, the last one of what is left."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _chunk(session: Session, chunk: list[Entry], twice: Twice, name: str) -> list[Told]:
    known = Known(session, chunk)
    for entry in chunk:
        _weigh_repeats(entry, twice)
    known.weigh(chunk)
    taken = [entry for entry in chunk if entry.refused is None]
    fresh = {entry.number for entry in taken if entry.number not in known.legacy}
    _add(session, known, [entry for entry in taken if entry.number in fresh])
    changed = [entry for entry in taken if entry.number in fresh or _is_news(known, entry)]
    _write(session, known, changed, name)
    news = {entry.number for entry in changed}
    told = []
    for entry in chunk:
        faults, outcome = tuple(entry.faults), SAME
        if entry.refused is not None:
            faults, outcome = (entry.refused, *faults), REFUSED
        elif entry.number in news:
            outcome = ADDED if entry.number in fresh else CHANGED
        told.append(Told(entry.line.number, entry.number, outcome, faults))
    return told


def _weigh_repeats(entry: Entry, twice: Twice) -> None:
    """Two lines that claim one thing: nobody here knows which is right, so neither has it."""
    if entry.refused is not None:
        return
    for name, what in (("number", "terminal"), ("asset", "asset")):
        others = twice.others(entry, name)
        if others:
            why = f"{what} {getattr(entry, name)[:40]} is in line {_numbers(others)}, too"
            entry.refused = (f"{what}-twice", why)
            return
    for name in ("imei", "iccid", "address"):
        others = twice.others(entry, name)
        if not others:
            continue
        text = entry.values["address"] if name == "address" else getattr(entry, name)
        entry.faults.append((f"{name}-twice", f"{name} {text} is in line {_numbers(others)}, too"))
        if name == "address":
            entry.values["address"] = None
        else:
            setattr(entry, name, "")


def _numbers(lines: list[int]) -> str:
    more = f" and {len(lines) - 3} more" if len(lines) > 3 else ""
    return ", ".join(map(str, lines[:3])) + more


def _is_news(known: Known, entry: Entry) -> bool:
    """Whether the line, or what stands against it, is not what came in before."""
    row = known.legacy[entry.number]
    terminal = known.terminals[row.terminal_id]
    before = (row.digest, terminal.imei, terminal.iccid, known.faults.get(row.terminal_id, set()))
    codes = {code for code, _ in entry.faults}
    return before != (entry.digest, entry.imei or None, entry.iccid or None, codes)


def _add(session: Session, known: Known, fresh: list[Entry]) -> None:
    """Areas, sites, assets and terminals of new lines, where there are none; a flush of each."""
    now = now_us()
    areas = {entry.area: entry.area_name for entry in fresh if entry.area not in known.areas}
    session.add_all(Area(code=code, name=name) for code, name in areas.items())
    session.flush()
    homeless = [entry for entry in fresh if not known.assets.get(entry.asset)]
    keys = dict.fromkeys((entry.area, entry.site) for entry in homeless)
    sites = {key: Site(area_code=key[0], name=key[1]) for key in keys if key not in known.sites}
    session.add_all(sites.values())
    session.flush()
    known.sites.update({key: site.id for key, site in sites.items()})
    for entry in homeless:
        site_id = known.sites[entry.area, entry.site]
        known.assets[entry.asset] = [Asset(site_id=site_id, kind=entry.kind, name=entry.asset)]
    session.add_all(known.assets[entry.asset][0] for entry in homeless)
    session.flush()
    ids = _ids(session, [entry.number for entry in fresh])
    for entry in fresh:
        terminal = Terminal(
            id=ids[entry.number], kind="legacy", role=entry.kind, state="active",
            area_code=entry.area, added_us=now,
        )  # fmt: skip
        known.terminals[terminal.id] = terminal
        known.legacy[entry.number] = LegacyTerminal(
            terminal_id=terminal.id, number=entry.number, imported_us=now
        )
    session.add_all(known.terminals[ids[entry.number]] for entry in fresh)
    session.flush()
    session.add_all(
        Installation(
            terminal_id=ids[entry.number], asset_id=known.assets[entry.asset][0].id, from_us=now,
            open_for=ids[entry.number], register_offset=0,
        )
        for entry in fresh
    )  # fmt: skip


def _ids(session: Session, numbers: list[str]) -> dict[str, str]:
    """A free id for each number of a terminal."""
    several = {number: legacy_ids.candidates(number) for number in numbers}
    first = [ids[0] for ids in several.values()]
    used = set(session.scalars(select(Terminal.id).where(Terminal.id.in_(first))))
    found: dict[str, str] = {}
    for number, ids in several.items():
        free = ids[0] if ids[0] not in used else None
        # One in a million numbers: its hash is another's, too.
        found[number] = free or next(
            each for each in ids if each not in used and session.get(Terminal, each) is None
        )
        used.add(found[number])
    return found


def _write(session: Session, known: Known, changed: list[Entry], name: str) -> None:
    now = now_us()
    for entry in changed:  # one may give up a number that another one takes
        terminal = known.terminals[known.legacy[entry.number].terminal_id]
        terminal.imei = terminal.imei if terminal.imei == entry.imei else None
        terminal.iccid = terminal.iccid if terminal.iccid == entry.iccid else None
    session.flush()
    ids = [known.legacy[entry.number].terminal_id for entry in changed]
    session.execute(delete(InventoryFault).where(InventoryFault.terminal_id.in_(ids)))
    for entry in changed:
        row = known.legacy[entry.number]
        terminal, asset = known.terminals[row.terminal_id], known.assets[entry.asset][0]
        terminal.imei, terminal.iccid = entry.imei or None, entry.iccid or None
        terminal.area_code, terminal.role, asset.kind = entry.area, entry.kind, entry.kind
        if entry.latitude_e7 is not None:
            asset.latitude_e7, asset.longitude_e7 = entry.latitude_e7, entry.longitude_e7
        for column, value in entry.values.items():
            setattr(row, column, value)
        source = f"{name}:{entry.line.number}"[-120:]
        row.source, row.digest, row.imported_us = source, entry.digest, now
        session.add(row)
        session.add_all(
            InventoryFault(
                terminal_id=row.terminal_id, code=code, detail=detail[:200], source=source,
                at_us=now,
            )
            for code, detail in dict(entry.faults).items()
        )  # fmt: skip
    session.flush()
