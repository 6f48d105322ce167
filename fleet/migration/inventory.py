"""Bring an inventory in: asset, terminal, IMEI, card, site and area joined, a report per line.

A line is taken in with what is right in it; what is wrong is kept as a fault of the terminal until
a later import says better. Twice the same file changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import NamedTuple, TypeVar

from sqlalchemy import delete
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
            told = [*_chunk(session, chunk, twice, sheet.name)]
        yield from told


def chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Lists of so many, the last one of what is left."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _chunk(session: Session, chunk: list[Entry], twice: Twice, name: str) -> Iterator[Told]:
    known = Known(session, chunk)
    for entry in chunk:
        _weigh_repeats(entry, twice)
        if entry.refused is None:
            known.weigh(entry)
        if entry.refused is not None:
            told = (entry.refused, *entry.faults)
            yield Told(entry.line.number, entry.number, REFUSED, told)
            continue
        outcome = _take(session, known, entry, f"{name}:{entry.line.number}"[-120:])
        yield Told(entry.line.number, entry.number, outcome, tuple(entry.faults))
    session.flush()


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


def _take(session: Session, known: Known, entry: Entry, source: str) -> str:
    row = known.legacy.get(entry.number)
    if row is None:
        row = _add(session, known, entry)
        outcome = ADDED
    else:
        outcome = SAME if row.digest == entry.digest else CHANGED
    terminal = known.terminals[row.terminal_id]
    before = [(terminal.imei, terminal.iccid), *sorted(known.faults.get(row.terminal_id, ()))]
    for name, value in entry.values.items():
        setattr(row, name, value)
    if before[0] != (entry.imei or None, entry.iccid or None):
        terminal.imei, terminal.iccid = entry.imei or None, entry.iccid or None
        session.flush()  # one may give up what the next one takes
    terminal.area_code, terminal.role = entry.area, entry.kind
    asset = known.assets[entry.asset][0]
    asset.kind = entry.kind
    if entry.latitude_e7 is not None:
        asset.latitude_e7, asset.longitude_e7 = entry.latitude_e7, entry.longitude_e7
    faults = dict(entry.faults)
    if outcome == SAME and before != [(terminal.imei, terminal.iccid), *sorted(faults)]:
        outcome = CHANGED  # the line is the same: what stood against it is not
    if outcome != SAME:
        row.source, row.digest, row.imported_us = source, entry.digest, now_us()
        session.execute(
            delete(InventoryFault).where(InventoryFault.terminal_id == row.terminal_id)
        )
        for code, detail in faults.items():
            session.add(
                InventoryFault(
                    terminal_id=row.terminal_id, code=code, detail=detail[:200], source=source,
                    at_us=now_us(),
                )
            )  # fmt: skip
    known.holds(terminal)
    return outcome


def _add(session: Session, known: Known, entry: Entry) -> LegacyTerminal:
    now = now_us()
    _place(session, known, entry)
    free = legacy_ids.candidates(entry.number)
    terminal_id = next(each for each in free if session.get(Terminal, each) is None)
    terminal = Terminal(
        id=terminal_id, kind="legacy", role=entry.kind, state="active", area_code=entry.area,
        added_us=now,
    )  # fmt: skip
    session.add(terminal)
    session.flush()
    row = LegacyTerminal(
        terminal_id=terminal_id, number=entry.number, source="", digest="", imported_us=now
    )
    session.add(row)
    asset = known.assets[entry.asset][0]
    session.add(
        Installation(
            terminal_id=terminal_id, asset_id=asset.id, from_us=now, open_for=terminal_id,
            register_offset=0,
        )
    )  # fmt: skip
    known.legacy[entry.number], known.terminals[terminal_id] = row, terminal
    known.at[terminal_id] = asset.id
    known.served[asset.id] = [terminal_id]
    return row


def _place(session: Session, known: Known, entry: Entry) -> None:
    """Area, site and asset of a line, made where there are none."""
    if entry.area not in known.areas:
        session.add(Area(code=entry.area, name=entry.area_name))
        session.flush()
        known.areas.add(entry.area)
    if known.assets.get(entry.asset):
        return
    key = (entry.area, entry.site)
    if key not in known.sites:
        site = Site(area_code=entry.area, name=entry.site)
        session.add(site)
        session.flush()
        known.sites[key] = site.id
    asset = Asset(site_id=known.sites[key], kind=entry.kind, name=entry.asset)
    session.add(asset)
    session.flush()
    known.assets[entry.asset] = [asset]
    known.areas_of[asset.id] = entry.area
