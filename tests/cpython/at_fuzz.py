"""Random bytes instead of a modem, into every parser of a driver: seeded, in virtual time.

A case is one thing that a link does with a modem (or nothing: bytes that come unasked), with every
answer drawn anew. It may give a value or one of node.errors, within bounded time.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import vectors
from modem_bench import jumping
from node.errors import AtError, AtTimeout, ModemMute, NodeError, SocketError
from node.link import modem as modem_module
from node.link.at import At
from node.link.datagram import Datagram
from node.link.modems import open_modem
from node.link.socket import Socket

BLOCK = 100  # cases with one driver; a block is what can be run again
COMMANDS_MOST = 40  # of one case; then the modem is mute
STREAM_MOST = 400  # bytes
VIRTUAL_MOST_S = 900  # no case waits longer
# What the grammars are made of, between bars.
FRAGMENTS = (
    'OK|ERROR|>|,|,,|"|:|: |0|1|-1|7|563|2048|2049|999999999999|0x|0xZZ|ABCDEF|ABC|00111|'
    "10.0.0.1|1.2.3.4.5|a.b|+CME ERROR: |+CMS ERROR: |RDY|REBOOTING|SEND OK|SEND FAIL|"
    "CLOSE OK|+CEREG: |+CEREG:|+CCLK: |+CSQ: |+CESQ: |+CPIN: |+CFUN: |+CGSN: |+QIURC: |"
    '"recv",|"closed",|"pdpdeact",|"dnsgip",|+QIOPEN: 0,|+QENG: |+NSONMI:|+NSOCLI:|'
    "+QDNS:|NUESTATS:|Signal power:|+NSOCR:|0,1.2.3.4,5,|+CADATAIND: |+CARECV: |"
    "+CASTATE: |+CAOPEN: 0,|+APP PDP: 0,|ACTIVE|+CIPRXGET: 1,|+CIPRXGET: 2,|+CIPOPEN: 0,|"
    "+CIPSEND: 0,|+IPCLOSE: |+CIPEVENT:|+NETOPEN: |+CDNSGIP: 1,|+CPSI: LTE,Online,|"
    "+CEDRXRDP: 5,|+CPSMS: 1,,,"
)
TOKENS = [part.encode() for part in FRAGMENTS.split("|")] + [
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\nOK\r\n",
    b"\r\n> ",
    b" ",
    b"\x00",
    b"\xff",
    b"\xc3\xa9",
]


class Streams:
    """Draws what the modem says: raw bytes, fragments of the grammars, and damaged records."""

    def __init__(self, family: str, rng: random.Random) -> None:
        self._rng = rng
        own = vectors.lines(family)
        self._by_name: dict[str, list[bytes]] = {}
        self._records: list[bytes] = []
        for request, reply in own:
            raw = reply.encode("latin-1")
            self._records.append(raw)
            if request is not None and request.startswith("AT"):
                self._by_name.setdefault(_name(request), []).append(raw)
        self._foreign = [raw for name in vectors.FAMILIES for raw in vectors.replies(name)]

    def draw(self, command: str, until: tuple[str, ...]) -> bytes:
        """At most STREAM_MOST bytes, said in answer to `command` (empty: unasked)."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.1:
            return rng.randbytes(rng.randrange(80))
        if kind < 0.3:
            return self._fragments(until)
        known = self._by_name.get(_name(command))
        if known and kind < 0.85:
            raw = rng.choice(known)
            return raw[:STREAM_MOST] if kind < 0.45 else self._damaged(raw)
        return self._damaged(rng.choice(self._records if kind < 0.93 else self._foreign))

    def chunks(self, stream: bytes) -> list[bytes]:
        """The stream in one to four pieces."""
        cuts = sorted(self._rng.randrange(len(stream) + 1) for _ in range(self._rng.randrange(4)))
        edges = [0, *cuts, len(stream)]
        return [stream[a:b] for a, b in pairwise(edges)]

    def _fragments(self, until: tuple[str, ...]) -> bytes:
        rng = self._rng
        parts = rng.choices(TOKENS, k=rng.randrange(1, 14))
        if until and rng.random() < 0.7:
            at = rng.randrange(len(parts) + 1)
            parts[at:at] = [b"\r\n", rng.choice(until).encode()]
        if rng.random() < 0.5:
            parts.append(b"\r\nOK\r\n")
        return b"".join(parts)[:STREAM_MOST]

    def _damaged(self, raw: bytes) -> bytes:
        rng = self._rng
        out = bytearray(raw[:STREAM_MOST])
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(out) + 1)
            kind = rng.randrange(5)
            if kind == 0:
                out[at : at + 1] = rng.randbytes(1)
            elif kind == 1:
                del out[at : at + rng.randrange(12)]
            elif kind == 2:
                out[at:at] = rng.choice(TOKENS)
            elif kind == 3:
                # Another number: lengths, results and socket numbers are what parsers act on.
                digits = [i for i, c in enumerate(out) if 48 <= c <= 57]
                if digits:
                    out[rng.choice(digits)] = rng.randrange(48, 58)
            else:
                out += rng.choice(self._records)
        return bytes(out[:STREAM_MOST])


class FedAt(At):  # type: ignore[misc]
    """The engine with its exchange made synchronous: answers are drawn, deadlines are ends."""

    streams: Streams
    left = 0  # commands that this case may still make
    drawn = 0

    async def command(
        self,
        text: str,
        deadline_ms: int,
        expect: str | None = None,
        until: tuple[str, ...] = ("OK",),
        data: bytes | None = None,
    ) -> list[str]:
        """As At.command, at once."""
        self.left -= 1
        if self.left < 0:
            raise ModemMute("the modem is mute from here on")
        self._lines, self._error, self._until = [], None, until
        self._done.clear()
        self._prompt.clear()
        self._framing.armed = data is not None
        self._owed = 0 if data is None else len(data)
        self._text = text
        try:
            self.hear(self.streams.draw(text, until))
            if self._prompt.is_set() and not self._done.is_set():
                self._owed = 0
                self.hear(self.streams.draw("", until))
        finally:
            self._text = None
            self._framing.armed = False
            self._owed = 0
        if not self._done.is_set():
            self._framing.abort()
            raise AtTimeout(text)
        if self._error is not None:
            raise AtError(text, max(0, self._error))
        return [line for line in self._lines if expect is None or line.startswith(expect)]

    async def sync(self, tries: int) -> None:
        """As At.sync."""
        self._framing.abort()
        await self.command("AT", 500)

    async def write(self, data: bytes) -> None:
        """As At.write."""

    def hear(self, stream: bytes) -> None:
        """Bytes come; every line costs at least one of them."""
        self.drawn += 1
        lines = 0
        on_line = self._framing._on_line

        def counting(line: str, payload: bytes | None) -> None:
            nonlocal lines
            lines += 1
            on_line(line, payload)

        self._framing._on_line = counting
        try:
            for chunk in self.streams.chunks(stream):
                self._framing.feed(chunk)
        finally:
            self._framing._on_line = on_line
        if lines > len(stream) + 1:
            raise RuntimeError(f"{lines} lines out of {len(stream)} bytes")


class Dead:
    """The stream below FedAt: nothing is read from it."""

    def write(self, data: bytes) -> None:
        raise AssertionError("FedAt writes nothing")

    async def drain(self) -> None:
        pass


async def _unasked(modem: Any, rng: random.Random) -> None:
    modem.at.hear(modem.at.streams.draw("", ()))


async def _stream(modem: Any, rng: random.Random) -> None:
    socket = Socket(modem, 0)
    modem._sockets[0] = socket
    await socket.send(b"x" * rng.choice([1, 40, 1500]))
    if socket._held or socket._ended:
        await socket.recv(100)
    await socket.close()


async def _datagram(modem: Any, rng: random.Random) -> None:
    socket = Datagram(modem, 1)
    socket.host, socket.port = "10.20.30.40", 5683
    modem._sockets[1] = socket
    await socket.send(b"x" * rng.choice([1, 40, 600]), rng.randrange(3))
    if socket._held:
        await socket.recv()
    await socket.close()


async def _connect(modem: Any, rng: random.Random) -> None:
    modem._sockets.clear()
    socket = await modem.connect("fleet.example", 8883, 30_000)
    await socket.close()


async def _open_datagram(modem: Any, rng: random.Random) -> None:
    modem._sockets.clear()
    modem.names.clear()
    socket = await modem.datagram("fleet.example", 5683, 30_000)
    await socket.close()


OPERATIONS: list[tuple[int, Callable[[Any, random.Random], Awaitable[Any]]]] = [
    (8, _unasked),
    (3, _stream),
    (3, _datagram),
    (2, _connect),
    (2, _open_datagram),
    (1, lambda modem, rng: modem.identity()),
    (2, lambda modem, rng: modem.signal()),
    (1, lambda modem, rng: modem.network_time()),
    (1, lambda modem, rng: modem.power_saving(*rng.choice([(3600, 60), (None, None)]))),
    (1, lambda modem, rng: modem.edrx(rng.choice([20_480, None]))),
    (1, lambda modem, rng: modem.attach(rng.choice(["", "iot.example"]), 20_000)),
    (1, lambda modem, rng: modem.wake()),
    (1, lambda modem, rng: modem.sleep()),
]
WEIGHTS = [weight for weight, _ in OPERATIONS]


def run_block(family: str, seed: int, block: int) -> int:
    """BLOCK cases with one driver; how many streams were drawn. Raises what must not be raised."""
    rng = random.Random(f"{family} {seed} {block}")

    async def main() -> int:
        loop = asyncio.get_running_loop()
        strays: list[BaseException] = []
        loop.set_exception_handler(lambda _, context: strays.append(_of(context)))
        real, modem_module.At = modem_module.At, FedAt
        try:
            modem = open_modem(family, Dead())
        finally:
            modem_module.At = real
        modem.at.streams = Streams(family, rng)
        for _ in range(BLOCK):
            modem.at.left = COMMANDS_MOST
            modem._awake = True
            modem._sockets.setdefault(0, Socket(modem, 0))
            modem._sockets.setdefault(1, Datagram(modem, 1))
            before = loop.time()
            operation = rng.choices(OPERATIONS, WEIGHTS)[0][1]
            with contextlib.suppress(NodeError):
                await operation(modem, rng)
            await asyncio.sleep(0)
            for number, socket in list(modem._sockets.items()):
                assert socket.number == number
                assert isinstance(socket._error, SocketError | None)
            assert loop.time() - before < VIRTUAL_MOST_S, f"{loop.time() - before} s"
            if strays:
                raise strays[0]
        drawn: int = modem.at.drawn
        return drawn

    return jumping(main)


def _of(context: dict[str, Any]) -> BaseException:
    return context.get("exception") or RuntimeError(context["message"])


def _name(command: str) -> str:
    return command.partition("=")[0]
