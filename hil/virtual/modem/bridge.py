"""The modem's TCP sockets as real connections, to this machine's loopback only."""

import asyncio
import ipaddress
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.virtual.modem.wire import Wire
from hil.virtual.twin import UartPort

OPEN_S = 10.0  # real time; loopback answers or refuses at once
UNSENT_MOST = 16384  # bytes that the modem's TCP holds for a peer that does not read
BACKLOG_US = 100_000  # of the UART; what the peer sends beyond it waits in the peer's TCP
KEPT = 64  # connections that the counters remember


class Unresolved(Exception):
    """The name is in nobody's table."""


@dataclass
class Connection:
    """One socket of the modem; `up` and `down` count payload bytes."""

    number: int
    host: str
    port: int
    up: int = 0
    down: int = 0
    open: bool = False
    ended: bool = False
    writer: asyncio.StreamWriter | None = field(default=None, repr=False)
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Bridge:
    """`resolve` maps host names to loopback addresses; the name "*" stands for every other one.

    `up` and `down` count the payload bytes of all connections since the twin was made.
    """

    def __init__(
        self,
        port: UartPort,
        wire: Wire,
        resolve: Mapping[str, str],
        on_data: Callable[[int, bytes], None],
        on_closed: Callable[[int], None],
    ) -> None:
        for name, address in resolve.items():
            if not ipaddress.ip_address(address).is_loopback:
                raise ValueError(f"resolve: {name} -> {address} is not a loopback address")
        self._port = port
        self._wire = wire
        self._resolve = {name.lower(): address for name, address in resolve.items()}
        self._on_data = on_data
        self._on_closed = on_closed
        self._connections: dict[int, Connection] = {}
        self.history: deque[Connection] = deque(maxlen=KEPT)
        self.up = 0
        self.down = 0

    def get(self, number: int) -> Connection | None:
        """The connection that occupies `number`; a failed or closed one does until `close`."""
        return self._connections.get(number)

    def open(
        self, number: int, host: str, port: int, read_most: int, done: Callable[[bool], None]
    ) -> None:
        """Connect in the background; `done(connected)` once. Unresolved for an unknown name."""
        address = self._address(host)
        connection = Connection(number, host, port)
        self._connections[number] = connection
        self.history.append(connection)
        self._port.real(+1)
        connection.task = asyncio.get_running_loop().create_task(
            self._run(connection, address, read_most, done)
        )

    def occupy(self, number: int, host: str, port: int) -> None:
        """A connection that failed before it was tried still needs its `close`."""
        self._connections[number] = Connection(number, host, port, ended=True)

    def send(self, number: int, data: bytes) -> bool:
        """Whether the modem's TCP took `data`."""
        connection = self._connections.get(number)
        if connection is None or not connection.open or connection.writer is None:
            return False
        transport = connection.writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() + len(data) > UNSENT_MOST:
            return False
        connection.writer.write(data)
        connection.up += len(data)
        self.up += len(data)
        return True

    def close(self, number: int) -> None:
        """Close in good order: what was sent still arrives."""
        connection = self._connections.pop(number, None)
        if connection is not None:
            if connection.writer is not None:
                connection.writer.close()
            self._end(connection)

    def drop(self) -> None:
        """Every connection is gone at once; the peers see a reset."""
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            if connection.writer is not None:
                connection.writer.transport.abort()
            self._end(connection)

    def _address(self, host: str) -> str | None:
        # None: an address that this machine must not call.
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            address = self._resolve.get(host.lower(), self._resolve.get("*"))
            if address is None:
                raise Unresolved(host) from None
            return address
        return host if literal.is_loopback else None

    async def _run(
        self,
        connection: Connection,
        address: str | None,
        read_most: int,
        done: Callable[[bool], None],
    ) -> None:
        try:
            try:
                if address is None:
                    raise ConnectionRefusedError
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(address, connection.port), OPEN_S
                )
            except (OSError, OverflowError, TimeoutError):
                if not connection.ended:
                    done(False)
                return
            connection.writer = writer
            if connection.ended:
                return
            connection.open = True
            done(True)
            self._port.kick()
            await self._pump(connection, reader, read_most)
            if not connection.ended:
                connection.open = False
                self._on_closed(connection.number)
        finally:
            if connection.writer is not None:
                connection.writer.close()
            self._end(connection)
            self._port.kick()

    async def _pump(
        self, connection: Connection, reader: asyncio.StreamReader, read_most: int
    ) -> None:
        while True:
            try:
                data = await reader.read(read_most)
            except OSError:
                return
            if not data:
                return
            await self._room()
            if connection.ended:
                return
            connection.down += len(data)
            self.down += len(data)
            self._on_data(connection.number, data)
            self._port.kick()

    async def _room(self) -> None:
        while (backlog := self._wire.backlog_us()) > BACKLOG_US:
            gate = asyncio.Event()
            self._port.call_at(self._port.now() + backlog - BACKLOG_US // 2, gate.set)
            await gate.wait()

    def _end(self, connection: Connection) -> None:
        if connection.ended:
            return
        connection.ended = True
        connection.open = False
        self._port.real(-1)
        task = connection.task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
