"""Maintenance windows: when offers may go out, by the local time of a zone."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.rollouts.errors import RolloutError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? )?"
    r"(?P<from>[0-2][0-9]:[0-5][0-9])-(?P<to>[0-2][0-9]:[0-5][0-9])"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Window(NamedTuple):
    """On `days` (0: Monday) from `begin` to `end`, minutes of the local day; an end that is not
    behind the begin is the next day's.
    """

    days: frozenset[int]
    begin: int
    end: int


def parse(text: str) -> Window:
    """`01:00-05:00`, `mon-fri 22:00-04:00`, `sun 00:00-24:00`; RolloutError for anything else."""
    found = _WINDOW.fullmatch(text.strip().lower())
    if found is None:
        raise RolloutError(f"window {text[:40]!r}: such as 01:00-05:00 or mon-fri 22:00-04:00")
    begin, end = _minutes(found["from"], text), _minutes(found["to"], text)
    if begin in (1440, end):
        raise RolloutError(f"window {text[:40]!r} has no time in it")
    days = frozenset(range(7))
    if found["first"]:
        first, last = _day(found["first"], text), _day(found["last"] or found["first"], text)
        days = frozenset((first + n) % 7 for n in range((last - first) % 7 + 1))
    return Window(days, begin, end)


def zone(name: str) -> tzinfo:
    """A zone by its name in the time zone database; RolloutError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RolloutError(
            f"time zone {name[:40]!r} is not known: such as Asia/Shanghai"
        ) from None


def opens_us(windows: Sequence[Window], where: tzinfo, now_us: int) -> int:
    """When offers may go out next, us: now where a window is open, or where there is none."""
    if not windows:
        return now_us
    now = _EPOCH + timedelta(microseconds=now_us)
    today = now.astimezone(where).date()
    begins = []
    for window in windows:
        # Yesterday's may still be open; one that is on a single weekday comes within a week.
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            if day.weekday() not in window.days:
                continue
            begin = _moment(day, window.begin, where)
            last = day if window.end > window.begin else day + timedelta(days=1)
            if begin <= now < _moment(last, window.end, where):
                return now_us
            if begin > now:
                begins.append(begin)
    return (min(begins) - _EPOCH) // timedelta(microseconds=1)


def length_s(window: Window) -> int:
    """How long it is open, by a clock that nobody changes."""
    return ((window.end - window.begin) % 1440 or 1440) * 60


def _moment(day: date, minutes: int, where: tzinfo) -> datetime:
    # By the local clock, and in UTC: differences of local times pass over a change of the clock.
    later, minutes = divmod(minutes, 1440)
    local = datetime.combine(day + timedelta(days=later), time(*divmod(minutes, 60)), where)
    return local.astimezone(UTC)


def _minutes(text: str, whole: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if hours * 60 + minutes > 1440:
        raise RolloutError(f"window {whole[:40]!r}: there is no {text}")
    return hours * 60 + minutes


def _day(text: str, whole: str) -> int:
    if text not in DAYS:
        raise RolloutError(f"window {whole[:40]!r}: {text} is none of {', '.join(DAYS)}")
    return DAYS.index(text)
