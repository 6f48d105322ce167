"""Store readings, and page through them."""

import re
from collections.abc import Iterable
from typing import NamedTuple, cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from fleet.errors import Refusal
from fleet.telemetry import derived, order
from fleet.telemetry.tables import Reading
from fleet.wire import quantity as quantities

LEGACY, TLS, SIGNED = 0, 1, 2  # trust
QUALITIES = ("good", "estimated", "suspect")
TRUSTS = ("legacy", "tls", "signed")
PAGE = 1000
AHEAD_US = 3600 * 1_000_000
BEHIND_US = 400 * 86400 * 1_000_000


_TABLE = cast("Table", Reading.__table__)
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


class TelemetryError(Refusal, ValueError):
    """Refused; the text says what was wrong."""


def is_off(time_us: int, received_us: int) -> bool:
    """Whether a record's time is so far from the fleet's that its clock was wrong."""
    age = received_us - time_us
    return age < -AHEAD_US or age > BEHIND_US


class New(NamedTuple):
    """A reading to be stored; times in us since 1970 UTC, `value` scaled."""

    asset_id: int
    terminal_id: str
    quantity: int
    time_us: int
    value: int
    quality: int
    trust: int
    received_us: int

    @property
    def clock_off(self) -> bool:
        """Whether its time is far from the fleet's: stored all the same, and marked."""
        return is_off(self.time_us, self.received_us)


class Filter(NamedTuple):
    """What to page through; None and empty select all. Times in us, `until_us` excluded."""

    asset_id: int | None = None
    terminal_id: str = ""
    quantity: int | None = None
    since_us: int | None = None
    until_us: int | None = None


def store(session: Session, readings: Iterable[New]) -> int:
    """Insert; the number of rows."""
    rows = [{**reading._asdict(), "clock_off": reading.clock_off} for reading in readings]
    if rows:
        order.writing(session)
        session.execute(insert(_TABLE), rows)  # by no mapper: half of the time
    return len(rows)


def page(
    session: Session, wanted: Filter, after: tuple[int, int] = (-1, -1), limit: int = PAGE
) -> list[Reading]:
    """Readings by (time, id), those behind `after`, PAGE at most."""
    for number in (wanted.asset_id, wanted.quantity, wanted.since_us, wanted.until_us):
        if number is not None and not -(1 << 63) <= number < 1 << 63:
            raise TelemetryError("a number of over 64 bits selects nothing")
    query = select(Reading)
    for column, value in (
        (Reading.asset_id, wanted.asset_id),
        (Reading.terminal_id, wanted.terminal_id or None),
        (Reading.quantity, wanted.quantity),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since_us is not None:
        query = query.where(Reading.time_us >= wanted.since_us)
    if wanted.until_us is not None:
        query = query.where(Reading.time_us < wanted.until_us)
    time_us, identifier = after
    # The first condition is the one that an index can follow.
    query = query.where(
        Reading.time_us >= time_us, (Reading.time_us > time_us) | (Reading.id > identifier)
    )
    query = query.order_by(Reading.time_us, Reading.id).limit(min(limit, PAGE))
    return list(session.scalars(query))


def newest(
    session: Session, terminal_id: str, quantities_: Iterable[int], since_us: int
) -> list[Reading]:
    """Of a terminal, the newest reading since then of each of these quantities, by quantity."""
    query = (
        select(Reading)
        .where(Reading.terminal_id == terminal_id, Reading.time_us >= since_us)
        .where(Reading.quantity.in_(list(quantities_)))
        .order_by(Reading.time_us.desc(), Reading.id.desc())
        .limit(PAGE)
    )
    found: dict[int, Reading] = {}
    for reading in session.scalars(query):
        found.setdefault(reading.quantity, reading)
    return [found[code] for code in sorted(found)]


def cursor(last: Reading) -> str:
    """What continues a page behind its last reading: `<time in us>-<id>`."""
    return f"{last.time_us}-{last.id}"


def read_cursor(text: str) -> tuple[int, int]:
    """The `after` of `page` in the text that `cursor` gave; empty is the beginning."""
    if not text:
        return -1, -1
    found = _CURSOR.fullmatch(text)
    if not found:
        raise TelemetryError(f"{text[:40]!r} is no `after` of an earlier page")
    return int(found[1]), int(found[2])


def quantity_code(name: str) -> int:
    """The code of a quantity's name or number."""
    if re.fullmatch("[0-9]{1,5}", name):
        return int(name)
    for code, (known, _unit, _decimals) in quantities.QUANTITIES.items():
        if known == name:
            return code
    if name in derived.names():
        return derived.names()[name]
    known_names = ", ".join(name for name, _unit, _decimals in quantities.QUANTITIES.values())
    raise TelemetryError(f"quantity {name[:40]!r}: a number, or one of {known_names}")


def quantity_name(code: int) -> str:
    """Its name, or the number where this fleet knows none."""
    found = derived.entry(code)
    return str(code) if found is None else found[0]


def written(code: int, value: int) -> str:
    """The value with its decimals and unit, exact: 1830 of quantity 2 is '1.830 m'."""
    _name, unit, decimals = derived.entry(code) or ("", "", 0)
    digits = f"{abs(value):0{decimals + 1}d}"
    whole = digits if not decimals else f"{digits[:-decimals]}.{digits[-decimals:]}"
    return f"{'-' if value < 0 else ''}{whole} {unit}".strip()
