"""A registered EC200's twin on a bench, a host that speaks PPP with it, and TCP beside that."""

import asyncio
from typing import Any

from modem_bench import Bench

from hil.virtual.modem import ModemTwin
from hil.virtual.net import TcpEvents
from hil.virtual.shims._pppnode import NodeLink


class Host(NodeLink):
    """The node's end of the link over a bench's UART."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.up = asyncio.Event()
        self.over = asyncio.Event()
        self.why = 0
        self._handle: asyncio.TimerHandle | None = None
        super().__init__(bench.write, self._arm)
        self._task = asyncio.get_running_loop().create_task(self._read())

    def _arm(self, ms: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if ms:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(ms / 1000, self.expired)

    async def _read(self) -> None:
        buffer = bytearray(256)
        while True:
            n = await self.bench.readinto(buffer)
            self.feed(bytes(buffer[:n]))

    def stop(self) -> None:
        """Read no more."""
        self._task.cancel()
        self._arm(0)

    def on_up(self) -> None:
        self.up.set()

    def on_down(self) -> None:
        self.up.clear()

    def on_end(self, why: int) -> None:
        self.why = why
        self.over.set()


class Rig:
    """A registered twin on a bench."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("attach_delay_s", (1, 2))
        options.setdefault("seed", 3)
        self.twin = ModemTwin("ec200", chatter=0.0, **options)
        self.bench = Bench(self.twin)
        self.ip = self.twin.ip

    async def start(self) -> "Rig":
        """Registered, without echo, with numbers for errors."""
        self.twin.power_on()
        await asyncio.sleep(20)
        assert self.twin.network.registered
        for text in ("ATE0", "AT+CMEE=1"):
            await self.ask(text)
        return self

    async def ask(self, text: str, mark: bytes = b"OK\r\n") -> bytes:
        """Send a command; what came up to `mark`."""
        self.bench.heard.clear()
        self.bench.write(text.encode() + b"\r")
        return await self.bench.until(mark)

    async def dial(self) -> Host:
        """A link that is up."""
        await self.ask("ATD*99***1#", b"CONNECT 150000000\r\n")
        self.bench._pending.clear()
        host = Host(self.bench)
        host.start()
        await asyncio.wait_for(host.up.wait(), 60)
        return host


class Tcp:
    """Events of one connection."""

    def __init__(self) -> None:
        self.got = b""
        self.opened = asyncio.Event()
        self.over = asyncio.Event()
        self.room = asyncio.Event()
        self.came = asyncio.Event()
        self.errno = -1
        self.events = TcpEvents(self.opened.set, self._data, self._ended, self.room.set)

    def _data(self, data: bytes) -> None:
        self.got += data
        self.came.set()

    async def wait(self, size: int) -> None:
        """Until so many bytes have come."""
        while len(self.got) < size:
            self.came.clear()
            await self.came.wait()

    def _ended(self, number: int) -> None:
        self.errno = number
        self.over.set()
