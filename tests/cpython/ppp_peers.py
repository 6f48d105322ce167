"""Both ends of a PPP link on a line that loses, repeats and garbles, in a time of their own."""

import heapq
import random
from collections.abc import Callable
from itertools import count

from hil.virtual.modem.ppp import NetworkLink
from hil.virtual.shims._pppnode import NodeLink

ADDRESS = "10.7.7.7"
DELAY_MS = 20


class Node(NodeLink):
    """Keeps what the link tells."""

    def __init__(self, write: Callable[[bytes], None], timer: Callable[[int], None]) -> None:
        super().__init__(write, timer)
        self.up = False
        self.ups = 0
        self.ended: int | None = None

    def on_up(self) -> None:
        self.up = True
        self.ups += 1

    def on_down(self) -> None:
        self.up = False

    def on_end(self, why: int) -> None:
        self.ended = why


class Peers:
    """`fate(data)` gives the pieces that arrive of what was sent: none, one or more."""

    def __init__(
        self, fate: Callable[[bytes], list[bytes]] = lambda data: [data], seed: int = 1
    ) -> None:
        self.now_ms = 0
        self._fate = fate
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._timers: dict[str, int] = {}
        self.told: list[bool] = []  # by the network's end: up, down
        self.ended = 0
        self.sent = {"node": 0, "network": 0}
        self.wire: list[tuple[str, bytes]] = []
        self.node = Node(self._line("node"), self._timer("node"))
        self.network = NetworkLink(
            ADDRESS,
            random.Random(seed),
            self._line("network"),
            self._timer("network"),
            self.told.append,
            self._end,
        )

    @property
    def up(self) -> bool:
        """Whether both ends say so."""
        return self.node.up and bool(self.told) and self.told[-1]

    def run(self, ms: int, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, at most so long."""
        limit = self.now_ms + ms
        while self._queue and self._queue[0][0] <= limit and not until():
            self.now_ms, _, call = heapq.heappop(self._queue)
            call()
        if not until():
            self.now_ms = limit

    def start(self) -> None:
        """Both ends begin."""
        self.network.start()
        self.node.start()

    def _end(self) -> None:
        self.ended += 1

    def _line(self, name: str) -> Callable[[bytes], None]:
        def write(data: bytes) -> None:
            self.sent[name] += 1
            self.wire.append((name, data))
            other = self.network if name == "node" else self.node
            for piece in self._fate(data):
                self._at(DELAY_MS, lambda piece=piece: other.feed(piece))  # type: ignore[misc]

        return write

    def _timer(self, name: str) -> Callable[[int], None]:
        def arm(ms: int) -> None:
            serial = self._timers[name] = next(self._order)
            if ms:
                self._at(ms, lambda: self._expire(name, serial))

        return arm

    def _expire(self, name: str, serial: int) -> None:
        if self._timers[name] == serial:
            (self.node if name == "node" else self.network).expired()

    def _at(self, ms: int, call: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now_ms + ms, next(self._order), call))
