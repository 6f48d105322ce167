"""One TCP connection of the modem."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.virtual.modem.hosts import Outage

if TYPE_CHECKING:
    from hil.virtual.modem.bridge import Bridge

OPEN_S = 10.0  # real time; loopback answers or refuses at once
UNANSWERED_US = 75_000_000  # TCP gives up a host that never answers
UNSENT_MOST = 16384  # bytes that the modem's TCP holds for a peer that does not read
BACKLOG_US = 100_000  # of the UART; what the peer sends beyond it waits in the peer's TCP
HEADERS = 40  # octets of IPv4 and TCP
SEGMENT = 1360  # payload of one segment


class Connection:
    """`up` and `down` count payload bytes, `acked` those that the peer's TCP has.

    One segment is on the air at a time: what is sent meanwhile goes with the next (RFC 896).
    """

    def __init__(
        self,
        bridge: "Bridge",
        number: int,
        host: str,
        port: int,
        read_most: int,
        done: Callable[[bool], None],
    ) -> None:
        self.number = number
        self.host = host
        self.port = port
        self.up = 0
        self.down = 0
        self.acked = 0
        self.open = False
        self.ended = False
        self.writer: asyncio.StreamWriter | None = None
        self._bridge = bridge
        self._read_most = read_most
        self._done: Callable[[bool], None] | None = done
        self._unsent = bytearray()
        self._on_air = 0  # bytes of the segment that is on its way
        self._closing = False
        self._real = False
        self._task: asyncio.Task[None] | None = None
        self._reading = asyncio.Event()
        self._reading.set()

    def begin(self, address: str | None, through: bool) -> None:
        """Call the peer; None is an address that refuses. Without `through` nobody answers."""
        if self.ended:
            return
        self._hold(True)
        air = self._bridge.air
        failed = self._failed
        if not through:
            air.up(HEADERS, lambda: None)
            air.later(self._bridge.port.now() + UNANSWERED_US, failed)
            return
        air.up_surely(HEADERS, lambda: self._call(address), failed)

    def send(self, data: bytes, release: int) -> bool:
        """Whether there was room. A TCP packet is answered, so that `release` has no use."""
        if self.writer is None or self.writer.transport.is_closing():
            return False
        waiting = len(self._unsent) + self._on_air + self.writer.transport.get_write_buffer_size()
        if waiting + len(data) > UNSENT_MOST:
            return False
        self.up += len(data)
        self._unsent += data
        self._next_segment()
        return True

    def hold_back(self) -> None:
        """The module has no room for more: what the peer sends waits in the peer's TCP."""
        self._reading.clear()

    def go_on(self) -> None:
        """There is room again."""
        self._reading.set()

    def finish(self) -> bool:
        """Close behind what has been sent; whether something is still on its way."""
        self._closing = True
        if self.ended or self.writer is None or not (self._unsent or self._on_air):
            self.end()
            return False
        self.open = False
        self._hold(False)
        return True

    def abort(self) -> None:
        """The connection is gone; the peer sees a reset."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.end()

    def end(self) -> None:
        """Nothing more happens here. Twice does nothing."""
        self.open = False
        if self.writer is not None:
            self.writer.close()
        if self.ended:
            return
        self.ended = True
        self._hold(False)
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def _hold(self, real: bool) -> None:
        if real is not self._real:
            self._real = real
            self._bridge.port.real(1 if real else -1)

    def _call(self, address: str | None) -> None:
        if not self.ended:
            self._task = asyncio.get_running_loop().create_task(self._run(address))

    def refuse(self) -> None:
        """There is no data connection."""
        self._failed()

    def _failed(self) -> None:
        if self.ended:
            return
        done, self._done = self._done, None
        was_open = self.open
        self.abort()
        if done is not None:
            done(False)
        elif was_open:
            self._bridge.broke(self)

    def _opened(self) -> None:
        done, self._done = self._done, None
        if not self.ended and done is not None:
            self.open = True
            done(True)
            self._bridge.connected()

    def _next_segment(self) -> None:
        if self._on_air or not self._unsent or self.ended:
            return
        segment = bytes(self._unsent[:SEGMENT])
        del self._unsent[:SEGMENT]
        self._on_air = len(segment)
        air = self._bridge.air
        air.up_surely(HEADERS + len(segment), lambda: self._deliver(segment), self._failed)

    def _deliver(self, segment: bytes) -> None:
        self._on_air = 0
        if self.ended or self.writer is None:
            return
        self.acked += len(segment)
        self.writer.write(segment)
        self._bridge.air.acknowledge(down=HEADERS)
        self._next_segment()
        if self._closing and not self._on_air:
            self._bridge.finished(self)
            self.end()

    async def _run(self, address: str | None) -> None:
        port = self._bridge.port
        try:
            if address is None or self._bridge.hosts.outage is Outage.REFUSE:
                raise ConnectionRefusedError
            reader, self.writer = await asyncio.wait_for(
                asyncio.open_connection(address, self.port), OPEN_S
            )
        except (OSError, OverflowError, TimeoutError):
            self._bridge.air.down_surely(HEADERS, self._failed)
            port.kick()
            return
        try:
            await self._arrival(0)
            self._opened()
            port.kick()
            if self._bridge.hosts.outage is not Outage.CLOSE:
                await self._pump(reader)
            if not self.ended and not self._closing:
                await self._arrival(0)
                self.open = False
                self._bridge.broke(self)
        finally:
            if not self._closing:
                self.end()
            port.kick()

    async def _pump(self, reader: asyncio.StreamReader) -> None:
        while True:
            await self._reading.wait()
            try:
                data = await reader.read(self._read_most)
            except OSError:
                return
            if not data:
                return
            await self._arrival(len(data))
            await self._room()
            if self.ended or self._closing:
                return
            self.down += len(data)
            self._bridge.arrived(self, data)
            self._bridge.air.acknowledge(up=HEADERS)
            self._bridge.port.kick()

    async def _arrival(self, octets: int) -> None:
        arrived = asyncio.Event()
        self._bridge.air.down_surely(HEADERS + octets, arrived.set)
        self._bridge.port.kick()
        await arrived.wait()

    async def _room(self) -> None:
        wire, port = self._bridge.wire, self._bridge.port
        while (backlog := wire.backlog_us()) > BACKLOG_US:
            gate = asyncio.Event()
            port.call_at(port.now() + backlog - BACKLOG_US // 2, gate.set)
            await gate.wait()
