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
from fleet.registry import legacy
from fleet.registry.operations import now_us

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


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of so many, the last one of what is left."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
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
    arrivals = [
        legacy.Arrival(e.number, e.kind, e.asset, e.site, e.area, e.area_name) for e in fresh
    ]
    there = {name: several[0] for name, several in known.assets.items()}
    for number, (terminal, asset) in legacy.add(session, arrivals, there).items():
        known.terminals[terminal.id] = terminal
        known.assets[asset.name] = [asset]
        known.legacy[number] = LegacyTerminal(terminal_id=terminal.id, number=number)


def _write(session: Session, known: Known, changed: list[Entry], name: str) -> None:
    now = now_us()
    legacy.correct(session, [_said(known, entry) for entry in changed])
    ids = [known.legacy[entry.number].terminal_id for entry in changed]
    session.execute(delete(InventoryFault).where(InventoryFault.terminal_id.in_(ids)))
    for entry in changed:
        row = known.legacy[entry.number]
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


def _said(known: Known, entry: Entry) -> legacy.Said:
    terminal = known.terminals[known.legacy[entry.number].terminal_id]
    position = None
    if entry.latitude_e7 is not None and entry.longitude_e7 is not None:
        position = entry.latitude_e7, entry.longitude_e7
    asset = known.assets[entry.asset][0]
    return legacy.Said(terminal, asset, entry.kind, entry.area, entry.imei, entry.iccid, position)
