"""A first look at a datagram: whether it is a CoAP request, before an object is made of it.

aiocoap keeps an object for each option number that it ever met: without this look, strangers would
fill its memory with numbers that no option can have.
"""

from typing import NamedTuple

MOST_BYTES = 1280  # a block of 1,024 with all around it; RFC 7252, 4.6 counts on 1,152
MOST_OPTIONS = 16
HIGHEST_NUMBER = 65_535  # RFC 7252, 12.2
CON, NON, ACK, RST = range(4)


class MalformedError(ValueError):
    """No CoAP request of a sensible size."""


class Options(NamedTuple):
    """(number, value) in order, and what follows the payload marker."""

    options: list[tuple[int, bytes]]
    payload: bytes


def check(data: bytes) -> None:
    """MalformedError unless `data` is a well-formed request, CON or NON (RFC 7252, 3)."""
    if not 4 <= len(data) <= MOST_BYTES:
        raise MalformedError("size")
    if data[0] >> 6 != 1 or data[0] >> 4 & 3 > NON or data[0] & 15 > 8:
        raise MalformedError("header")
    if not 1 <= data[1] <= 31 or len(data) < 4 + (data[0] & 15):
        raise MalformedError("no request")
    options(data, 4 + (data[0] & 15))


def is_ping(data: bytes) -> bool:
    """An empty confirmable message, which is answered by a reset (RFC 7252, 4.3)."""
    return len(data) == 4 and data[:2] == b"\x40\x00"


def reset(data: bytes) -> bytes:
    """The answer to a ping."""
    return b"\x70\x00" + data[2:4]


def options(data: bytes, at: int) -> Options:
    """Options and payload from `at` on (RFC 7252, 3.1); MalformedError."""
    found: list[tuple[int, bytes]] = []
    number = 0
    end = len(data)
    while at < end:
        first = data[at]
        at += 1
        if first == 0xFF:
            if at == end:
                raise MalformedError("a payload marker without a payload")
            return Options(found, data[at:])
        delta, at = _extended(data, at, first >> 4)
        length, at = _extended(data, at, first & 15)
        number += delta
        if number > HIGHEST_NUMBER or at + length > end or len(found) == MOST_OPTIONS:
            raise MalformedError("options")
        found.append((number, data[at : at + length]))
        at += length
    return Options(found, b"")


def _extended(data: bytes, at: int, value: int) -> tuple[int, int]:
    if value < 13:
        return value, at
    size = value - 12
    if size > 2 or at + size > len(data):
        raise MalformedError("options")
    return int.from_bytes(data[at : at + size], "big") + (13, 269)[size - 1], at + size
