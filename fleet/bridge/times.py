"""Times as master stations write them, to microseconds UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from fleet.bridge.errors import Unmapped

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTS = {"s": 1_000_000, "ms": 1000, "us": 1}
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")


def reader(form: str, zone: ZoneInfo) -> Callable[[str], int]:
    """What reads times of a form: "iso", "s", "ms", "us" since 1970, or one of strptime.

    A time without a zone is of `zone`. One that its clocks showed twice, when summer time ended,
    is refused, and one that they never showed: neither says when it was.
    """
    if form in COUNTS:
        return lambda text: _counted(text, COUNTS[form])
    if form == "iso":
        return lambda text: _us(_iso(text), zone, text)
    return lambda text: _us(_formed(text, form), zone, text)


def iso_text(us: int) -> str:
    """Microseconds since 1970 as ISO 8601 UTC, to the microsecond where it has any."""
    return (EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def is_form(form: str) -> bool:
    """Whether a form can be read at all."""
    if form in COUNTS or form == "iso":
        return True
    try:
        moment = datetime(2026, 11, 30, 8, 1, 2)  # without a zone on purpose
        return "%" in form and datetime.strptime(moment.strftime(form), form).year == 2026
    except (ValueError, re.error):
        return False


def _counted(text: str, each_us: int) -> int:
    if not _NUMBER.fullmatch(text):
        raise Unmapped(f"time {text[:40]!r}: a number since 1970")
    try:
        us = int(Decimal(text) * each_us)
    except InvalidOperation:
        raise Unmapped(f"time {text[:40]!r}: a number since 1970") from None
    return _bounded(us, text)


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip().replace("/", "-"))
    except ValueError:
        raise Unmapped(f"time {text[:40]!r}: such as 2026-11-30 08:00:00") from None


def _formed(text: str, form: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), form)
    except ValueError:
        raise Unmapped(f"time {text[:40]!r} is not of the form {form}") from None


def _us(moment: datetime, zone: ZoneInfo, text: str) -> int:
    if moment.tzinfo is None:
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            raise Unmapped(f"time {text[:40]!r}: {zone.key} changed its clocks, say the zone")
        moment = first
    try:
        return _bounded((moment - EPOCH) // timedelta(microseconds=1), text)
    except OverflowError:
        raise Unmapped(f"time {text[:40]!r} is none of a reading") from None


def _bounded(us: int, text: str) -> int:
    if not 0 < us < 1 << 52:  # the year 2112
        raise Unmapped(f"time {text[:40]!r} is none of a reading")
    return us
