"""The other end of the node's CoAP in jumping time: a wire, a server, and what the wire does."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import chip_asyncio  # noqa: F401 - the node needs MicroPython's names
from modem_bench import jumping
from node.link import coap as exchange
from node.wire import coap

WRAP = 1 << 30  # of MicroPython's ticks
BEGIN_MS = WRAP - 20_000  # they wrap within most tests
DONE = 0x44  # 2.04


def _ticks_ms() -> int:
    return (BEGIN_MS + round(asyncio.get_running_loop().time() * 1000)) % WRAP


def _ticks_diff(a: int, b: int) -> int:
    return (a - b + WRAP // 2) % WRAP - WRAP // 2


def _ticks_add(a: int, b: int) -> int:
    return (a + b) % WRAP


# MicroPython's, in the loop's time; for every module of the node that measures a wait.
TICKS = SimpleNamespace(ticks_ms=_ticks_ms, ticks_diff=_ticks_diff, ticks_add=_ticks_add)
exchange.time = TICKS


class Wire:
    """A socket for Coap. What it sends goes to `peer(data)`; `feed` is what the peer sends."""

    def __init__(self, peer: Callable[[bytes], None] | None = None) -> None:
        self.sent: list[tuple[float, bytes, int]] = []  # s, datagram, release
        self.closed = 0
        self.peer = peer or (lambda data: None)
        self._held: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, data: bytes, release: int = 0) -> None:
        self.sent.append((asyncio.get_running_loop().time(), bytes(data), release))
        self.peer(bytes(data))

    async def recv(self) -> bytes:
        return await self._held.get()

    async def close(self) -> None:
        self.closed += 1

    def feed(self, data: bytes, after_s: float = 0) -> None:
        """The peer's datagram arrives in `after_s`."""
        asyncio.get_running_loop().call_later(after_s, self._held.put_nowait, data)

    @property
    def requests(self) -> list[bytes]:
        """What was sent but acknowledgements and resets."""
        return [data for _, data, _ in self.sent if data[1]]

    @property
    def replies(self) -> list[bytes]:
        """Acknowledgements and resets that were sent."""
        return [data for _, data, _ in self.sent if not data[1]]


def mid_of(data: bytes) -> int:
    """Message id."""
    return int.from_bytes(data[2:4], "big")


def message(kind: int, mid: int, code: int = 0, payload: bytes = b"", options: Any = ()) -> bytes:
    """A message without a token."""
    raw: bytes = coap.encode(kind, code, mid, b"", options, payload)
    return raw


def play(case: Callable[[Wire, Any], Coroutine[Any, Any, None]], ack_ms: int = 15_000) -> None:
    """`case(wire, coap)` in jumping time."""

    async def main() -> None:
        wire = Wire()
        await case(wire, exchange.Coap(wire, ack_ms))

    jumping(main)


class Weather:
    """What becomes of datagrams: lost, twice, late."""

    def __init__(self, seed: int, lost: float, twice: float, late_s: float) -> None:
        self.chance = random.Random(seed)
        self.lost, self.twice, self.late_s = lost, twice, late_s

    def carry(self, deliver: Callable[[bytes], None], data: bytes) -> None:
        """Deliver it, or not, or twice, each after its own time."""
        loop = asyncio.get_running_loop()
        for _ in range(2 if self.chance.random() < self.twice else 1):
            if self.chance.random() >= self.lost:
                loop.call_later(self.chance.uniform(0.1, self.late_s), deliver, data)


class Server:
    """Answers `answer(request)` (code, options, payload) by a kind that chance chooses.

    It keeps a message id for ever, as a server may; its own confirmable answers it repeats.
    """

    def __init__(
        self, wire: Wire, weather: Weather, answer: Callable[[Any], tuple[int, Any, bytes]]
    ) -> None:
        self._wire, self._weather, self._answer = wire, weather, answer
        self._mid = weather.chance.randrange(0x10000)
        self._known: dict[int, bytes | None] = {}
        self._pending: dict[int, asyncio.Task[None]] = {}
        wire.peer = lambda data: weather.carry(self._arrived, data)

    def _send(self, data: bytes) -> None:
        self._weather.carry(self._wire.feed, data)

    def _arrived(self, data: bytes) -> None:
        kind, code, mid, _, options, payload = coap.decode(data)
        if not code:
            if mid in self._pending:
                self._pending.pop(mid).cancel()
            return
        if mid in self._known:
            again = self._known[mid]
            if again is not None:
                self._send(again)
            return
        answer, told, text = self._answer((code, options, payload))
        chosen = self._weather.chance.randrange(3)
        if chosen == 0:
            self._known[mid] = message(coap.ACK, mid, answer, text, told)
            self._send(self._known[mid] or b"")
            return
        self._known[mid] = message(coap.ACK, mid)
        self._send(self._known[mid] or b"")
        self._mid = self._mid + 1 & 0xFFFF
        kind = coap.CON if chosen == 1 else coap.NON
        separate = message(kind, self._mid, answer, text, told)
        loop = asyncio.get_running_loop()
        self._pending[self._mid] = loop.create_task(self._repeat(separate, kind == coap.CON))

    async def _repeat(self, data: bytes, confirmable: bool) -> None:
        wait = 2.0
        await asyncio.sleep(self._weather.chance.uniform(0, 30))
        for _ in range(5 if confirmable else 1):
            self._send(data)
            await asyncio.sleep(wait)
            wait *= 2

    def stop(self) -> None:
        """No more repeats."""
        for task in self._pending.values():
            task.cancel()
