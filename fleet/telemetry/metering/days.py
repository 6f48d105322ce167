"""Days of the bill: local ones, by number since 1970. A read is of a day's end, 24:00."""

import re
from datetime import date, timedelta
from typing import Final

from fleet.alarms.wording import LOCAL
from fleet.telemetry.metering.errors import MeteringError

DAY_US: Final = 86_400_000_000
# China has one time zone and no summer time: every day is as long as another.
_EAST_US: Final = int(LOCAL.utcoffset(None).total_seconds()) * 1_000_000
_EPOCH: Final = date(1970, 1, 1)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def end_us(day: int) -> int:
    """When a day ends, us UTC."""
    return (day + 1) * DAY_US - _EAST_US


def day_of(us: int) -> int:
    """The day whose end comes next: a reading of midnight is of the day that ends with it."""
    return (us + _EAST_US - 1) // DAY_US


def ended(us: int) -> int:
    """The last day that has ended then."""
    return (us + _EAST_US) // DAY_US - 1


def ends_at(us: int) -> int | None:
    """The day that ends just then; None: none does."""
    days, rest = divmod(us + _EAST_US, DAY_US)
    return None if rest else days - 1


def read(text: str) -> int:
    """A day as people write it, 2026-11-30; MeteringError."""
    if _DAY.fullmatch(text):
        try:
            return (date.fromisoformat(text) - _EPOCH).days
        except ValueError:
            pass
    raise MeteringError(f"{text[:20]!r} is no day, such as 2026-11-30")


def written(day: int) -> str:
    """2026-11-30."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def month(day: int) -> str:
    """2026-11."""
    return written(day)[:7]


def pieces(since: int, until: int, by: str) -> list[tuple[int, int]]:
    """The days from `since` to before `until`, whole or by day or month: (first, behind the last)
    of each piece, without holes.
    """
    if by == "whole":
        return [(since, until)]
    if by == "day":
        return [(day, day + 1) for day in range(since, until)]
    starts = [since] + [
        day for day in range(since + 1, until) if month(day) != month(day - 1)
    ]  # fmt: skip
    return list(zip(starts, [*starts[1:], until], strict=True))
