"""What went over a modem's UART, line by line, with the time of each."""

from collections import deque
from typing import NamedTuple

KEPT = 20_000  # lines
LINE_MOST = 240  # bytes; what is longer (data, PPP) is cut into several


class Spoken(NamedTuple):
    """`who` is `host` or `modem`; `at_us` is virtual time, when the line began."""

    number: int
    at_us: int
    who: str
    text: str


class Tape:
    """The newest KEPT lines; numbers count from 0 and are never used again."""

    def __init__(self) -> None:
        self._lines: deque[Spoken] = deque(maxlen=KEPT)
        self._partial: dict[str, tuple[int, bytearray]] = {}
        self._next = 0

    @property
    def end(self) -> int:
        """The number that the next line will have."""
        return self._next

    def speak(self, who: str, data: bytes, at_us: int) -> None:
        """Bytes that one side put on the line."""
        _, line = self._partial.setdefault(who, (at_us, bytearray()))
        for byte in data:
            if byte in b"\r\n":
                self._flush(who)
                _, line = self._partial.setdefault(who, (at_us, bytearray()))
                continue
            line.append(byte)
            if len(line) >= LINE_MOST or line == b"> ":
                self._flush(who)
                _, line = self._partial.setdefault(who, (at_us, bytearray()))
        if not line:
            self._partial.pop(who, None)

    def since(self, number: int, most: int) -> list[Spoken]:
        """The lines from `number` on that are still there, `most` at most."""
        if not self._lines:
            return []
        first = self._lines[0].number
        at = max(0, number - first)
        return [self._lines[place] for place in range(at, min(len(self._lines), at + most))]

    def _flush(self, who: str) -> None:
        at_us, line = self._partial.pop(who, (0, bytearray()))
        if line:
            text = line.decode("ascii", "backslashreplace")
            text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
            self._lines.append(Spoken(self._next, at_us, who, text))
            self._next += 1
