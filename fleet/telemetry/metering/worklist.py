"""Exceptions: what somebody must look at, from its first day on until it is closed.

    open -> taken -> closed

by a person; the fleet closes what has cleared. One of a kind is open for a register at a time.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.targets import within
from fleet.migration.ledger import Key
from fleet.registry.tables import Asset, Site
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.tables import MeteringException

OPEN: Final = "open"
TAKEN: Final = "taken"
CLOSED: Final = "closed"
STATES: Final = (OPEN, TAKEN, CLOSED)

SPIKE: Final = "spike"
ZERO: Final = "zero"
NEGATIVE: Final = "negative"
MISSING: Final = "missing"
CLOCK: Final = "clock"
KINDS: Final = (SPIKE, ZERO, NEGATIVE, MISSING, CLOCK)

# How one ends. What was held counts from then on, or never; the others change nothing.
ACCEPTED: Final = "accepted"
REJECTED: Final = "rejected"
NOTED: Final = "noted"
CLEARED: Final = "cleared"  # by the fleet

PAGE: Final = 1000


class Finding(NamedTuple):
    """What was seen of a register, and in which days."""

    key: Key
    kind: str
    first_day: int
    last_day: int
    detail: str


class Listed(NamedTuple):
    """An exception as lists show it; times in us, days by number."""

    id: int
    asset_id: int
    name: str
    area: str
    register: int
    kind: str
    state: str
    first_day: int
    last_day: int
    detail: str
    person: str
    opened_us: int
    closed_us: int | None
    outcome: str
    note: str


class Board:
    """The exceptions of some assets that are not closed, as one transaction changes them."""

    def __init__(self, session: Session, asset_ids: Sequence[int], now_us: int) -> None:
        self._session = session
        self._now_us = now_us
        rows = session.scalars(
            select(MeteringException).where(
                MeteringException.asset_id.in_(asset_ids), MeteringException.open_for.is_not(None)
            )
        )
        self._rows = {row.open_for: row for row in rows}
        self.opened = 0
        self.cleared = 0

    def get(self, key: Key, kind: str) -> MeteringException | None:
        """The one that is not closed."""
        return self._rows.get(_name(key, kind))

    def put(self, finding: Finding) -> MeteringException:
        """Open one, or let the one that is open go on."""
        row = self.get(finding.key, finding.kind)
        if row is not None:
            row.last_day = max(row.last_day, finding.last_day)
            row.detail = finding.detail[:200]
            return row
        asset_id, register = finding.key
        name = _name(finding.key, finding.kind)
        row = MeteringException(
            asset_id=asset_id, register=register, kind=finding.kind, state=OPEN,
            first_day=finding.first_day, last_day=finding.last_day, detail=finding.detail[:200],
            person="", opened_us=self._now_us, closed_us=None, outcome="", note="", open_for=name,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        self._rows[name] = row
        self.opened += 1
        return row

    def clear(self, key: Key, kind: str) -> None:
        """Close it, if there is one: it is over."""
        row = self._rows.pop(_name(key, kind), None)
        if row is not None:
            _end(row, CLEARED, row.person, "", self._now_us)
            self.cleared += 1


def take(session: Session, number: int, person: str) -> MeteringException:
    """A person will look at it; MeteringError where somebody else does, or it is closed."""
    row = find(session, number)
    if row.state == TAKEN and row.person != person:
        raise MeteringError(f"exception {number} is with {row.person}")
    row.state, row.person = TAKEN, person
    session.flush()
    return row


def close(
    session: Session, number: int, outcome: str, person: str, note: str, now_us: int
) -> MeteringException:
    """A person closes it; what was held stays held: holds.py."""
    row = find(session, number)
    if row.kind == SPIKE and outcome == NOTED:
        raise MeteringError(f"exception {number} is a spike: --accept it, or --reject it")
    if row.kind != SPIKE and outcome != NOTED:
        raise MeteringError(f"exception {number} is no spike: close it with --note alone")
    _end(row, outcome, person, note, now_us)
    session.flush()
    return row


def find(session: Session, number: int) -> MeteringException:
    """One that is not closed; MeteringError."""
    row = session.get(MeteringException, number)
    if row is None:
        raise MeteringError(f"there is no exception {number}: kapok metering exception list")
    if row.state == CLOSED:
        raise MeteringError(f"exception {number} was {row.outcome} already")
    return row


def listed(
    session: Session, area: str = "", states: Iterable[str] = (OPEN, TAKEN), kind: str = "",
    after: int = 0, limit: int = PAGE,
) -> list[Listed]:  # fmt: skip
    """Exceptions by number, those behind `after`; `area` and `kind` empty: all."""
    query = (
        select(MeteringException, Asset.name, Site.area_code)
        .join(Asset, Asset.id == MeteringException.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(MeteringException.state.in_(list(states)), MeteringException.id > after)
        .order_by(MeteringException.id)
        .limit(min(limit, PAGE))
    )
    if area:
        query = query.where(within(Site.area_code, area))
    if kind:
        query = query.where(MeteringException.kind == kind)
    return [
        Listed(
            row.id, row.asset_id, name, area_code, row.register, row.kind, row.state,
            row.first_day, row.last_day, row.detail, row.person, row.opened_us, row.closed_us,
            row.outcome, row.note,
        )
        for row, name, area_code in session.execute(query)
    ]  # fmt: skip


def _end(row: MeteringException, outcome: str, person: str, note: str, now_us: int) -> None:
    row.state, row.outcome, row.person, row.note = CLOSED, outcome, person, note[:200]
    row.closed_us, row.open_for = now_us, None


def _name(key: Key, kind: str) -> str:
    return f"{key[0]}/{key[1]}/{kind}"
