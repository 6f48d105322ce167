"""From a source into telemetry: a batch's readings, the place behind it and what came of it are
one transaction; what could not be taken in is on disk before that commits.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from fleet.bridge import cursors, mapper
from fleet.bridge.cursors import Counts
from fleet.bridge.deadletters import DeadLetters, Letter, letter
from fleet.bridge.errors import Unmapped
from fleet.bridge.mapper import Said
from fleet.bridge.mapping import Rules
from fleet.bridge.rows import Batch, Row, Source
from fleet.db.base import Database
from fleet.legacy import intake, sources
from fleet.legacy.intake import Arrival, Stored
from fleet.registry.operations import now_us

QUIET_US = 60_000_000  # a source that has nothing new is noted so often


class Taken(NamedTuple):
    """What became of a row; `why` where it went to the dead letters."""

    row: Row
    said: Said | None
    stored: Stored
    why: str = ""


class Pump:
    """Moves one source's rows. `round` until it returns nothing more is there."""

    def __init__(
        self, database: Database, name: str, rules: Rules, source: Source, letters: DeadLetters,
        clock: Callable[[], int] = now_us,
    ) -> None:  # fmt: skip
        self._database, self._name, self._rules = database, name, rules
        self._source, self._letters, self._clock = source, letters, clock
        self._kept_us = 0

    def round(self, stop: Callable[[], bool] = lambda: False) -> Counts:
        """All that is there now, batch by batch; SourceGone, BridgeError, and what is taken in
        before stays so.
        """
        total = Counts()
        while not stop():
            with self._database.read() as session:
                cursor = cursors.at(session, self._name)
            batch = self._source.read(cursor)
            total = total.plus(self._take(batch, cursor))
            self._source.settled(batch)
            if batch.is_last:
                break
        return total

    def forget(self) -> None:
        """Its row says that it fails: the next round says that it does not."""
        self._kept_us = 0

    def _take(self, batch: Batch, cursor: str) -> Counts:
        now = self._clock()
        is_news = batch.rows or batch.bad or batch.cursor != cursor
        if not is_news and 0 <= now - self._kept_us < QUIET_US:
            return Counts()
        with self._database.begin() as session:
            taken = take(session, batch.rows, self._rules, now)
            dead = [letter(self._name, one.row, one.why, now) for one in taken if one.why]
            dead += [letter(self._name, bad.row, bad.why, now) for bad in batch.bad]
            counts = counted(taken, len(batch.bad))
            self._letters.add(dead)
            cursors.keep(session, self._name, batch.cursor, counts, now if batch.is_last else None)
        self._kept_us = now if batch.is_last else 0
        return counts


def take(session: Session, rows: Sequence[Row], rules: Rules, now: int) -> list[Taken]:
    """Rows become readings, in the caller's transaction; what became of each, in their order."""
    said: list[Said | str | None] = [_said(row, rules) for row in rows]
    known = sources.find(session, (one.source for one in said if isinstance(one, Said)))
    told: list[Taken] = []
    arrivals: list[Arrival] = []
    places: list[int] = []
    for place, (row, one) in enumerate(zip(rows, said, strict=True)):
        if not isinstance(one, Said):
            told.append(Taken(row, None, Stored(), one or ""))
            continue
        why = whose(known, one)
        told.append(Taken(row, one, Stored(), why))
        if not why:
            places.append(place)
            arrivals.append(Arrival(one.source, one.values, now))
    written = intake.write(session, arrivals) if arrivals else []
    for place, stored in zip(places, written, strict=True):
        lost = stored.kept or stored.refused
        told[place] = told[place]._replace(stored=stored, why=stored.why if lost else "")
    return told


def whose(known: dict[tuple[str, str], sources.Known], said: Said) -> str:
    """Why a row is nobody's, empty where it is somebody's: its letter waits for the registry."""
    kind, address, meter = said.source
    found = known.get((kind, address))
    if found is None:
        return f"{kind} {address}: no such terminal: kapok migrate import, then kapok bridge retry"
    if not found.is_active:
        return f"{kind} {address}: terminal {found.terminal_id} is not active"
    for value in said.values:
        place = found.placed(meter, value.time_us)
        if isinstance(place, str):
            return f"{kind} {address} {meter}".strip() + f": {place}"
    return ""


def counted(taken: Sequence[Taken], bad: int = 0) -> Counts:
    """The sum of it."""
    return Counts(
        len(taken) + bad,
        sum(one.stored.new for one in taken),
        sum(one.stored.again for one in taken),
        sum(one.stored.conflicts for one in taken),
        sum(bool(one.why) for one in taken) + bad,
    )


def retry(
    database: Database, rules: Rules, letters: DeadLetters, most: int = 500,
    clock: Callable[[], int] = now_us,
) -> tuple[Counts, list[Letter]]:  # fmt: skip
    """Take the dead letters in by the rules as they are now; those that are still refused stay.

    A letter is removed after its readings are committed: after a kill in between it comes again.
    """
    total, left = Counts(), []
    waiting = letters.all()
    for at in range(0, len(waiting), most):
        part = waiting[at : at + most]
        with database.begin() as session:
            taken = take(session, [one.row for one in part], rules, clock())
        total = total.plus(counted(taken))
        gone = set()
        for one, what in zip(part, taken, strict=True):
            if what.why:
                left.append(one._replace(why=what.why))
            else:
                gone.add(one.id)
        letters.remove(gone)
    return total, left


def _said(row: Row, rules: Rules) -> Said | str | None:
    try:
        return mapper.read(row, rules)
    except Unmapped as e:
        return str(e)
