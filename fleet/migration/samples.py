"""Measurements come in: of modems' logs, of survey nodes, and of what our own nodes report."""

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from fleet.control.targets import within
from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.migration import columns, entries, numbers
from fleet.migration.entries import BEARERS, Entry
from fleet.migration.errors import MigrationError
from fleet.migration.inventory import chunks
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.sheets import Line, Sheet
from fleet.migration.survey_tables import RadioSample
from fleet.registry import places
from fleet.registry.operations import now_us
from fleet.registry.tables import Asset, Installation, Site, Terminal
from fleet.telemetry.tables import Reading

NEEDED = ("bearer", "at")
LOG, SURVEY = "log", "survey"
NO_SERVICE = "none"  # in the column of RSRP: the modem searched, and found nothing
_RSRP, _LEVEL = 101, 102  # quantities
_NUMBER = re.compile(r"(-?[0-9]{1,4})(?:\.[0-9]+)?")


class Taken(NamedTuple):
    """What became of a line: new, known already, or refused with a reason."""

    line: int
    outcome: str
    fault: str


def take(database: Database, sheet: Sheet, source: str) -> Iterator[Taken]:
    """All lines of a log; each measurement comes in once, whatever file it is in."""
    for chunk in chunks(sheet):
        with database.begin() as session:
            told = list(_chunk(session, chunk, source))
        yield from told


def _chunk(session: Session, chunk: list[Line], source: str) -> Iterator[Taken]:
    sites = _sites(session, chunk)
    rows: dict[str, tuple[RadioSample, int]] = {}
    for line in chunk:
        try:
            row = _sample(line, source, sites)
        except Refusal as e:
            yield Taken(line.number, "refused", str(e))
            continue
        if row.digest in rows:
            yield Taken(line.number, "known", "")
        else:
            rows[row.digest] = row, line.number
    known = set(
        session.scalars(select(RadioSample.digest).where(RadioSample.digest.in_(list(rows))))
    )
    for digest, (_, number) in rows.items():
        yield Taken(number, "known" if digest in known else "new", "")
    session.add_all(row for digest, (row, _) in rows.items() if digest not in known)
    session.flush()


def _sites(session: Session, chunk: list[Line]) -> dict[tuple[str, str], int]:
    """("terminal" or "asset", its number) -> site."""
    query = (
        select(Terminal.id, LegacyTerminal.number, Asset.site_id)
        .join(Installation, Installation.open_for == Terminal.id)
        .join(Asset, Asset.id == Installation.asset_id)
        .outerjoin(LegacyTerminal, LegacyTerminal.terminal_id == Terminal.id)
    )
    found: dict[tuple[str, str], int] = {}
    wanted = {line.get("terminal") for line in chunk} - {""}
    of = (Terminal.id.in_(wanted), LegacyTerminal.number.in_(wanted))
    for condition in of if wanted else ():
        for terminal_id, number, site_id in session.execute(query.where(condition)):
            found["terminal", terminal_id] = site_id
            if number is not None:
                found["terminal", number] = site_id
    names = {line.get("asset") for line in chunk} - {""}
    for name, site_id in session.execute(
        select(Asset.name, Asset.site_id).where(Asset.name.in_(names))
    ):
        found["asset", name] = site_id
    return found


def _sample(line: Line, source: str, sites: dict[tuple[str, str], int]) -> RadioSample:
    bearer = columns.word(line.get("bearer"))
    if bearer not in BEARERS:
        raise MigrationError(f"bearer {bearer[:24]!r}: one of {', '.join(BEARERS)}")
    site_id = None
    for what in ("terminal", "asset"):
        text = line.get(what)
        if text:
            site_id = sites.get((what, text))
            if site_id is None:
                raise MigrationError(f"{what} {text[:40]!r} is not in the inventory")
    latitude = longitude = None
    if line.get("latitude") or line.get("longitude"):
        latitude, longitude = places.position(line.get("latitude"), line.get("longitude"))
    if site_id is None and latitude is None:
        raise MigrationError("neither a terminal, an asset nor a position: where was it measured?")
    at = Entry(line)
    at_us = entries.moment_us(at, "at")
    if at_us is None:
        raise MigrationError(at.faults[0][1] if at.faults else "at: when was it measured?")
    rsrp, ecl = None, None
    if line.get("rsrp").lower() != NO_SERVICE:
        rsrp, ecl = _whole(line, "rsrp", -156, -20), _whole(line, "ecl", 0, 2)
        if rsrp is None and ecl is None:
            raise MigrationError(f"neither rsrp nor ecl; {NO_SERVICE} for rsrp is no service")
    return made(
        source, site_id, latitude, longitude, columns.word(line.get("operator"))[:16], bearer,
        _whole(line, "band", 1, 255), line.get("cell")[:20], rsrp, _whole(line, "snr", -40, 60),
        ecl, at_us,
    )  # fmt: skip


def made(source: str, *said: str | int | None) -> RadioSample:
    """A row: site, latitude, longitude, operator, bearer, band, cell, RSRP, SNR, level, time."""
    names = (
        "site_id", "latitude_e7", "longitude_e7", "operator", "bearer", "band", "cell",
        "rsrp_dbm", "snr_db", "ecl", "at_us",
    )  # fmt: skip
    digest = hashlib.sha256("\n".join(map(repr, said)).encode()).hexdigest()[:32]
    return RadioSample(source=source, digest=digest, **dict(zip(names, said, strict=True)))


def _whole(line: Line, name: str, least: int, most: int) -> int | None:
    text = line.get(name).lower().removesuffix("dbm").removesuffix("db").strip()
    if not text:
        return None
    found = _NUMBER.fullmatch(text)
    if found is None or not least <= int(found[1]) <= most:
        raise MigrationError(f"{name} {text[:24]!r}: {least} to {most}")
    return int(found[1])


def of_nodes(session: Session, scope: str, days: int) -> int:
    """What nodes of an area told last of their NB-IoT, as measurements; how many are new."""
    since_us = now_us() - days * 86_400_000_000
    level, signal = aliased(Reading), aliased(Reading)
    newest = (
        select(level.terminal_id, level.asset_id, func.max(level.time_us).label("time_us"))
        .join(Terminal, Terminal.id == level.terminal_id)
        .where(
            within(Terminal.area_code, scope), Terminal.kind == "node", Terminal.role != "survey",
            level.quantity == _LEVEL, level.time_us >= since_us, level.clock_off.is_(False),
        )
        .group_by(level.terminal_id, level.asset_id)
        .subquery()
    )  # fmt: skip
    rows = session.execute(
        select(Site.id, Terminal.iccid, level.value, signal.value, newest.c.time_us)
        .select_from(newest)
        .join(
            level,
            (level.asset_id == newest.c.asset_id)
            & (level.quantity == _LEVEL)
            & (level.time_us == newest.c.time_us),
        )
        .join(Terminal, Terminal.id == newest.c.terminal_id)
        .join(Asset, Asset.id == newest.c.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .outerjoin(
            signal,
            (signal.asset_id == newest.c.asset_id)
            & (signal.quantity == _RSRP)
            & (signal.time_us == newest.c.time_us),
        )
    )
    found: dict[str, RadioSample] = {}
    for site_id, iccid, ecl, rsrp, time_us in rows:
        if not 0 <= ecl <= 2:
            continue
        heard = rsrp if rsrp is not None and -156 <= rsrp <= -20 else None
        row = made(
            LOG, site_id, None, None, numbers.operator_of(iccid or ""), "nb", None, "", heard,
            None, ecl, time_us,
        )  # fmt: skip
        found[row.digest] = row
    return keep(session, found)


def keep(session: Session, found: dict[str, RadioSample]) -> int:
    """Those that are not known yet, by digest; how many."""
    new = 0
    for part in chunks(found.items()):
        wanted = [digest for digest, _ in part]
        query = select(RadioSample.digest).where(RadioSample.digest.in_(wanted))
        known = set(session.scalars(query))
        fresh = [row for digest, row in part if digest not in known]
        session.add_all(fresh)
        new += len(fresh)
    session.flush()
    return new
