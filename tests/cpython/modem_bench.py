"""A firmware driver and a modem twin in one loop whose time jumps while nothing real happens."""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import chip_asyncio  # noqa: F401 - the driver needs MicroPython's names

from hil.virtual.modem import ModemTwin

START_US = 1_800_000_000_000_000
REAL_S = 0.002  # grace for loopback before time jumps; both ends are in this loop
T = TypeVar("T")


class JumpSelector(selectors.DefaultSelector):
    """Waits really only for what is real."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.sockets = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """As the base class; but a wait that nothing real ends moves the clock on."""
        grace = REAL_S if self.sockets else 0.0
        if timeout is None:
            return super().select(None)
        ready = super().select(min(timeout, grace))
        if not ready and timeout > 0:
            self.now_s += timeout
        return ready


class JumpLoop(asyncio.SelectorEventLoop):
    """Its time only moves when it has nothing to do."""

    def __init__(self) -> None:
        self.jump = JumpSelector()
        super().__init__(self.jump)

    def time(self) -> float:
        """Virtual seconds."""
        return self.jump.now_s


def jumping(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main()` in a JumpLoop."""
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(main())


class Bench:
    """The UartPort of a twin, and the stream of a driver (`readinto`, `write`, `drain`)."""

    def __init__(self, twin: ModemTwin) -> None:
        self.loop = asyncio.get_running_loop()
        self.twin = twin
        self.sockets = 0
        self.written = bytearray()  # by the driver
        self.heard = bytearray()  # from the twin
        self.due_us: list[int] = []
        self.timers: list[asyncio.TimerHandle] = []
        self._line: deque[bytes] = deque()
        self._pending = bytearray()
        self._arrived = asyncio.Event()
        twin.attach(self)

    # the port

    def now(self) -> int:
        return START_US + round(self.loop.time() * 1_000_000)

    def send(self, data: bytes, due_us: int) -> None:
        self.due_us.append(due_us)
        self._line.append(data)
        self._at(due_us, self._arrive)

    def call_at(self, due_us: int, fn: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers.append(self._at(due_us, fn))
        return self.timers[-1]

    def waiting(self) -> int:
        """How many of the twin's timers are still to come."""
        now = self.loop.time()
        return sum(not timer.cancelled() and timer.when() > now for timer in self.timers)

    def _at(self, due_us: int, fn: Callable[[], None]) -> asyncio.TimerHandle:
        return self.loop.call_at((due_us - START_US) / 1_000_000, fn)

    def real(self, change: int) -> None:
        self.sockets += change
        assert self.sockets >= 0, "more sockets closed than opened"
        if isinstance(self.loop, JumpLoop):
            self.loop.jump.sockets = self.sockets

    def kick(self) -> None:
        pass

    def _arrive(self) -> None:
        # asyncio's timers of one moment come in any order; bytes do not overtake.
        self._deliver(self._line.popleft())

    def _deliver(self, data: bytes) -> None:
        self.heard += data
        self._pending += data
        self._arrived.set()

    # the stream

    async def readinto(self, buffer: bytearray) -> int:
        while not self._pending:
            self._arrived.clear()
            await self._arrived.wait()
        n = min(len(buffer), len(self._pending))
        buffer[:n] = self._pending[:n]
        del self._pending[:n]
        return n

    def write(self, data: bytes) -> None:
        self.written += data
        self.twin.on_bytes(bytes(data))

    async def drain(self) -> None:
        pass

    # raw use

    async def until(self, mark: bytes, seconds: float = 60) -> bytes:
        """All that came, up to the end of `mark`; TimeoutError after virtual `seconds`."""
        async with asyncio.timeout(seconds):
            while mark not in self.heard:
                self._arrived.clear()
                await self._arrived.wait()
        end = self.heard.index(mark) + len(mark)
        taken = bytes(self.heard[:end])
        del self.heard[:end]
        return taken


class Echo:
    """A loopback TCP server that returns what it gets."""

    async def __aenter__(self) -> "Echo":
        self.got = bytearray()
        self.connected = asyncio.Event()
        self.heard = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.connected.set()
        try:
            while data := await reader.read(4096):
                self.got += data
                self.heard.set()
                writer.write(data)
        except OSError:
            pass
        writer.close()
