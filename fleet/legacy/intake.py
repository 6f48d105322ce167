"""The one way by which values of terminals of other makers become readings: once, and none lost.

Such a terminal numbers nothing, so what makes a value the same again is its terminal, asset,
quantity, time and value. The first value of a time stands; another one is kept as a conflict.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import insert, select, tuple_
from sqlalchemy.orm import Session

from fleet.alarms import intake as alarms
from fleet.alarms.heard import Heard
from fleet.db.base import Database
from fleet.legacy import links, sources, strangers
from fleet.legacy.sources import Known, Source
from fleet.legacy.strangers import Lost
from fleet.legacy.tables import LegacyConflict
from fleet.registry import operations as registry
from fleet.telemetry import operations as telemetry
from fleet.telemetry.operations import LEGACY
from fleet.telemetry.tables import Reading

__all__ = ["Arrival", "Intake", "Source", "Stored", "Value"]
MOST = (1 << 62) - 1  # of a value: sums stay within 64 bits
NOTE_US = 60 * 1_000_000  # a terminal is noted to be heard so often at most
_AT_ONCE = 300  # keys in one question


class Value(NamedTuple):
    """A value in its quantity's scale (fleet.wire.quantity); `time_us` since 1970 UTC, as the
    terminal says; `quality` a place in telemetry's QUALITIES.
    """

    quantity: int
    time_us: int
    value: int
    quality: int = 0


class Arrival(NamedTuple):
    """What one frame, line or row of another system said; `frame` and `peer` where there are.

    `hold`: why it must not become readings yet, though its source may be known; empty: it may.
    """

    source: Source
    values: Sequence[Value]
    received_us: int
    frame: bytes = b""
    peer: str = ""
    hold: str = ""


class Stored(NamedTuple):
    """What became of the values of an arrival.

    `new` are readings now; `again` were there; `conflicts` say another value than what is there,
    and are kept beside it; `kept` are nobody's yet (`why`), and wait with their frame; `refused`
    are gone: they could not even be kept.
    """

    new: int = 0
    again: int = 0
    conflicts: int = 0
    kept: int = 0
    refused: int = 0
    why: str = ""
    terminal_id: str = ""

    @property
    def is_safe(self) -> bool:
        """Whether its sender may forget it, once this is committed."""
        return not self.refused

    @property
    def is_reading(self) -> bool:
        """Whether all that it said is a reading now, or is beside one."""
        return not self.kept and not self.refused


_Key = tuple[str, int, int, int]  # terminal, time, quantity, asset: as the index has them


class Intake:
    """Takes arrivals in. Not for several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, source: Source, values: Sequence[Value], received_us: int) -> Stored:
        """One arrival in one transaction of its own, committed when this returns."""
        return self.take([Arrival(source, values, received_us)])[0]

    def take(self, arrivals: Sequence[Arrival]) -> list[Stored]:
        """All of them in one transaction, committed when this returns; in their order."""
        with self._database.begin() as session:
            return write(session, arrivals)


def write(session: Session, arrivals: Sequence[Arrival]) -> list[Stored]:
    """All of them in the caller's transaction; in their order. Harmless to repeat."""
    return _Batch(session, arrivals).write()


class _Batch:
    """Some arrivals; write it once."""

    def __init__(self, session: Session, arrivals: Sequence[Arrival]) -> None:
        self._session = session
        self._arrivals = arrivals
        self._known = sources.find(session, (one.source for one in arrivals))
        self._fresh: dict[_Key, telemetry.New] = {}
        self._conflicts: dict[tuple[object, ...], dict[str, object]] = {}
        self._heard: dict[tuple[int, str, int, int, int], list[tuple[int, int]]] = {}

    def write(self) -> list[Stored]:
        placed = [self._place(arrival) for arrival in self._arrivals]
        there = self._there([new for news, _ in placed for new in news])
        told = [self._sort(news, stored, there) for news, stored in placed]
        self._store()
        return told

    def _place(self, arrival: Arrival) -> tuple[list[telemetry.New], Stored]:
        """What are readings, and what became of the rest."""
        source = arrival.source
        known = self._known.get((source.kind, source.address))
        if known is None or not known.is_active or arrival.hold:
            why = arrival.hold or (sources.UNKNOWN if known is None else sources.RETIRED)
            stored = self._keep(arrival, arrival.values, why)
            return [], stored._replace(terminal_id="" if known is None else known.terminal_id)
        news: list[telemetry.New] = []
        lost: list[Value] = []
        why = ""
        for one in arrival.values:
            place = known.placed(source.meter, one.time_us)
            if isinstance(place, str):
                lost.append(one)
                why = place
                continue
            value = place.continued(one.quantity, one.value)
            if abs(value) > MOST or not 0 <= one.time_us <= MOST:
                lost.append(one)
                why = "out of range"
                continue
            news.append(
                telemetry.New(
                    place.asset_id, known.terminal_id, one.quantity, one.time_us, value,
                    one.quality, LEGACY, arrival.received_us,
                )
            )  # fmt: skip
        stored = self._keep(arrival, lost, why) if lost else Stored()
        return news, stored._replace(terminal_id=known.terminal_id)

    def _keep(self, arrival: Arrival, values: Sequence[Value], why: str) -> Stored:
        lost = Lost(
            arrival.source, why, values, arrival.received_us,
            arrival.frame, arrival.peer, arrival.hold,
        )  # fmt: skip
        count = max(len(values), 1)
        if strangers.keep(self._session, lost):
            return Stored(kept=count, why=why)
        return Stored(refused=count, why=why)

    def _there(self, news: Sequence[telemetry.New]) -> dict[_Key, int]:
        """The values that are stored of these keys. What is behind all that its terminal ever
        told needs no question.
        """
        newest = {known.terminal_id: known.newest_us for known in self._known.values()}
        asked = list({_key(new) for new in news if new.time_us <= newest[new.terminal_id]})
        found: dict[_Key, int] = {}
        columns = (Reading.terminal_id, Reading.time_us, Reading.quantity, Reading.asset_id)
        for at in range(0, len(asked), _AT_ONCE):
            rows = self._session.execute(
                select(*columns, Reading.value).where(
                    tuple_(*columns).in_(asked[at : at + _AT_ONCE]), Reading.terminal_id >= "g"
                )
            )
            found.update(((row[0], row[1], row[2], row[3]), row[4]) for row in rows)
        return found

    def _sort(
        self, news: Sequence[telemetry.New], stored: Stored, there: dict[_Key, int]
    ) -> Stored:
        new = again = conflicts = 0
        for one in news:
            key = _key(one)
            first = self._fresh.get(key)
            value = there.get(key) if first is None else first.value
            if value is None:
                new += 1
                self._fresh[key] = one
                heard = (one.asset_id, one.terminal_id, one.time_us, one.quality, one.received_us)
                self._heard.setdefault(heard, []).append((one.quantity, one.value))
            elif value == one.value:
                again += 1
            else:
                conflicts += 1
                self._conflicts[(*key, one.value)] = {
                    "terminal_id": one.terminal_id, "asset_id": one.asset_id,
                    "quantity": one.quantity, "time_us": one.time_us, "value": one.value,
                    "quality": one.quality, "received_us": one.received_us,
                }  # fmt: skip
        return stored._replace(new=new, again=again, conflicts=conflicts)

    def _store(self) -> None:
        heard = [
            Heard(asset_id, terminal_id, 0, time_us, time_us, received_us, quality, values, True)
            for (asset_id, terminal_id, time_us, quality, received_us), values
            in self._heard.items()
        ]  # fmt: skip
        if heard:
            alarms.take(self._session, heard, [])
        telemetry.store(self._session, self._fresh.values())
        self._store_conflicts()
        spoke: dict[str, int] = {}
        for new in self._fresh.values():
            spoke[new.terminal_id] = max(new.received_us, spoke.get(new.terminal_id, 0))
        heard_us = {known.terminal_id: known.heard_us for known in self._known.values()}
        due = {one: us for one, us in spoke.items() if us - heard_us[one] >= NOTE_US}
        registry.note_reports(self._session, {one: (us, {}) for one, us in due.items()})

    def _store_conflicts(self) -> None:
        if not self._conflicts:
            return
        columns = (
            LegacyConflict.terminal_id, LegacyConflict.time_us, LegacyConflict.quantity,
            LegacyConflict.asset_id, LegacyConflict.value,
        )  # fmt: skip
        keys = list(self._conflicts)
        known = set()
        for at in range(0, len(keys), _AT_ONCE):
            asked = select(*columns).where(tuple_(*columns).in_(keys[at : at + _AT_ONCE]))
            known |= {tuple(row) for row in self._session.execute(asked)}
        rows = [row for key, row in self._conflicts.items() if key not in known]
        if rows:
            self._session.execute(insert(LegacyConflict), rows)


def known_of(session: Session, source: Source) -> Known | None:
    """The terminal of a source, where it is one."""
    return sources.find(session, [source]).get((source.kind, source.address))


def variant_hold(variant: str) -> str:
    """Why what came in this variant of a protocol is held back."""
    return f"variant {variant}"


def take_kept(session: Session, source: Source, most: int = 500) -> list[Stored]:
    """What was kept of a stranger that is known by now becomes readings; what is still nobody's
    stays, and what is in a variant that is not tolerated of it.
    """
    known = known_of(session, source)
    if known is None:
        return []
    variant = links.allowed_of(session, known.terminal_id)
    let = [variant_hold(variant)] if variant else []
    told = []
    done = []
    for number, row in strangers.waiting(session, source, most, let):
        values = strangers.said(row)
        arrival = Arrival(source, [Value._make(one) for one in values], row.received_us, row.frame)
        stored = write(session, [arrival])[0]
        told.append(stored)
        if stored.is_reading:
            done.append(number)
            if row.hold:
                links.used(session, known.terminal_id, variant, row.received_us)
    if done:
        strangers.done(session, source, done)
    return told


def _key(new: telemetry.New) -> _Key:
    return new.terminal_id, new.time_us, new.quantity, new.asset_id
