"""Numbers, times and states in the bytes of SL 651-2014, and a place among these bytes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleet.legacy.protocols import sl651_words as words
from fleet.legacy.protocols.frame import FrameError, moment

NAME = "sl651"


@dataclass
class Reader:
    """A place in the bytes of a body, which stand at byte `start` of the frame."""

    data: bytes
    start: int
    at: int = 0

    def take(self, count: int, what: str) -> bytes:
        """The next bytes; FrameError where there are not so many."""
        if len(self.data) - self.at < count:
            left = len(self.data) - self.at
            raise FrameError(NAME, self.start + self.at, f"{what}: {count} bytes, {left} there")
        self.at += count
        return self.data[self.at - count : self.at]

    @property
    def left(self) -> int:
        """How many bytes were not taken."""
        return len(self.data) - self.at

    @property
    def place(self) -> int:
        """The byte of the frame that comes next."""
        return self.start + self.at


def bcd_time(data: bytes, at: int) -> datetime:
    """YYMMDDHHmm and SS where there are six bytes; FrameError where it is no time."""
    parts = []
    for place, byte in enumerate(data):
        if byte & 15 > 9 or byte >> 4 > 9:
            raise FrameError(NAME, at + place, f"{byte:02X} is no BCD of a time")
        parts.append((byte >> 4) * 10 + (byte & 15))
    try:
        return moment(2000 + parts[0], *parts[1:])
    except ValueError:
        raise FrameError(NAME, at, f"{data.hex()} is no time") from None


def number(data: bytes, at: int) -> int | None:
    """BCD, high byte first; FF in front makes it negative, FF throughout: it is missing, None."""
    if data and set(data) == {0xFF}:
        return None
    sign, digits = 1, data
    if data[:1] == b"\xff":
        sign, digits = -1, data[1:]
    value = 0
    for place, byte in enumerate(digits, len(data) - len(digits)):
        if byte & 15 > 9 or byte >> 4 > 9:
            raise FrameError(NAME, at + place, f"{byte:02X} is no BCD")
        value = value * 100 + (byte >> 4) * 10 + (byte & 15)
    return sign * value


def state(data: bytes) -> dict[str, Any]:
    """Table 58 in words; the highest byte comes first."""
    bits = int.from_bytes(data, "big")
    told: dict[str, Any] = {"word": f"{bits:08X}"}
    for place, (key, zero, one) in enumerate(words.STATE_BITS):
        told[key] = one if bits >> place & 1 else zero
    return told


def step(data: bytes, at: int) -> timedelta:
    """Days, hours and minutes, of which one is given; all zero stands for the five minutes of F4
    to FC.
    """
    parts = []
    for place, byte in enumerate(data):
        if byte & 15 > 9 or byte >> 4 > 9:
            raise FrameError(NAME, at + place, f"{byte:02X} is no BCD of a time step")
        parts.append((byte >> 4) * 10 + (byte & 15))
    days, hours, minutes = parts
    return timedelta(days=days, hours=hours, minutes=minutes)
