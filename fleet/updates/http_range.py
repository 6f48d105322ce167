"""The Range header of RFC 9110, 14.1.2, as much of it as is spoken here: one range of bytes."""

import re

from fleet.errors import Refusal

MOST = 65_536  # bytes of one answer; the server may send fewer than were asked for
_RANGE = re.compile(r"bytes=([0-9]{1,10})-([0-9]{0,10})")


class RangeError(Refusal, ValueError):
    """No range that is spoken here."""


def read(header: str) -> tuple[int, int]:
    """First byte, and how many: never over MOST. RangeError."""
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise RangeError("one range: bytes=FIRST-LAST")
    first = int(found[1])
    last = int(found[2]) if found[2] else first + MOST - 1
    if last < first:
        raise RangeError("its last byte is before its first")
    return first, min(last - first + 1, MOST)
