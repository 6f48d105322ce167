"""What peers may cost a listener: none of them has proven who it is."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from fleet.legacy.sources import Source

SPEAKERS = 200_000  # sources of which it is remembered who spoke last
CLASH_S = 600.0  # within which two that speak by turns clash; a network may change an address too


@dataclass(frozen=True)
class Bounds:
    """What one process serves, and what is let pass.

    `connections` at once; `unproven` of them that have sent no whole frame yet, each for `first_s`
    at most; a proven one may be silent for `idle_s`. `frames_per_s` and `burst` are what is read
    of one connection: more waits in the network. `pending`: its frames that may wait for the
    commit. `garbage`: bytes that are no frame before it is closed. `parts_all`: bytes of messages
    that are not whole, of all connections, and `parts_one` of one.
    """

    connections: int = 12_000
    unproven: int = 1_000
    first_s: float = 30.0
    idle_s: float = 7_200.0
    frames_per_s: float = 20.0
    burst: float = 200.0
    pending: int = 64
    garbage: int = 2_200  # two damaged packets of HJ 212
    parts_one: int = 1 << 20
    parts_all: int = 64 << 20


class Bucket:
    """Tokens of one connection."""

    __slots__ = ("_at", "_level")

    def __init__(self, bounds: Bounds, now: float) -> None:
        self._level = bounds.burst
        self._at = now

    def take(self, bounds: Bounds, count: int, now: float) -> float:
        """Take `count`; how many seconds until there is one again, 0 when there is."""
        level = min(bounds.burst, self._level + (now - self._at) * bounds.frames_per_s) - count
        self._level, self._at = level, now
        return 0.0 if level > 0 else (1 - level) / bounds.frames_per_s


class _Last(NamedTuple):
    speaker: object
    host: str
    before: object
    before_host: str
    changed: float


class Speakers:
    """Who speaks for each source. A speaker is a connection, or the host of datagrams."""

    def __init__(self) -> None:
        self._last: OrderedDict[Source, _Last] = OrderedDict()

    def heard(
        self, source: Source, speaker: object, host: str, now: float
    ) -> tuple[bool, tuple[str, str] | None]:
        """(whether it is new that this host speaks for it, the two hosts that do so by turns).

        By turns: the one before the last comes again, soon after another one took its place.
        """
        last = self._last.get(source)
        if last is not None and last.speaker == speaker:
            return False, None
        clash = None
        if last is None:
            self._last[source] = _Last(speaker, host, None, "", now)
        else:
            returned = last.before == speaker and now - last.changed < CLASH_S
            if returned and last.host != host:
                clash = (last.host, host)
            self._last[source] = _Last(speaker, host, last.speaker, last.host, now)
        self._last.move_to_end(source)
        while len(self._last) > SPEAKERS:
            self._last.popitem(last=False)
        return last is None or last.host != host, clash
