"""The modem's sockets: real connections to this machine's loopback, delayed by the air."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hil.virtual.modem.air import Air
from hil.virtual.modem.connection import Connection
from hil.virtual.modem.datagrams import Datagrams
from hil.virtual.modem.hosts import Hosts, Unresolved
from hil.virtual.modem.nat import Nat, NatOptions
from hil.virtual.modem.wire import Wire
from hil.virtual.twin import UartPort

__all__ = ["Bridge", "Connection", "Unresolved"]

KEPT = 64  # connections that the counters remember
REFUSED_US = 100_000  # without a data connection
DNS_UP, DNS_DOWN = 28 + 40, 28 + 80  # octets of a query and its answer


@dataclass(frozen=True)
class BridgeHooks:
    """What happens to sockets. The family's part of ModemTwin."""

    allowed: Callable[[], bool]  # whether there is a data connection
    data: Callable[[int, bytes], None]
    closed: Callable[[int], None]
    datagram: Callable[[int, str, int, bytes], None]
    opened: Callable[[], None]
    sent: Callable[[], None]


class Bridge:
    """`up` and `down` count the payload bytes of all sockets since the twin was made.

    Both kinds of socket have a number, and hold it until `close`.
    """

    def __init__(
        self,
        port: UartPort,
        wire: Wire,
        air: Air,
        hosts: Hosts,
        hooks: BridgeHooks,
        nat: NatOptions = NatOptions(),  # noqa: B008 - frozen
    ) -> None:
        self._port = port
        self._wire = wire
        self._air = air
        self._hosts = hosts
        self.nat = Nat(port, nat)
        self._hooks = hooks
        self._sockets: dict[int, Connection | Datagrams] = {}
        self._closing: set[Connection] = set()  # closed, with data still on its way
        self._known: dict[str, str | None] = {}  # the modem's DNS cache
        self.history: deque[Connection | Datagrams] = deque(maxlen=KEPT)
        self.up = 0
        self.down = 0

    def get(self, number: int) -> Connection | Datagrams | None:
        """The socket that occupies `number`; a failed or closed one does until `close`."""
        return self._sockets.get(number)

    def open(
        self,
        number: int,
        host: str,
        port: int,
        read_most: int,
        done: Callable[[bool], None],
        udp: bool = False,
    ) -> None:
        """Connect in the background; `done(connected)` once. Unresolved for an unknown name."""
        address = self._hosts.address(host)
        if udp:
            self._bind(number, host, port)
            done(True)
            return
        connection = Connection(self, number, host, port, read_most, done)
        self._add(connection)
        through = self._hosts.lets_through(host, address)

        if not self._hooks.allowed():
            self._air.later(self._port.now() + REFUSED_US, connection.refuse)
            return
        self.lookup(host, lambda _: connection.begin(address, through))

    def bind(self, number: int) -> None:
        """A UDP socket without a peer."""
        self._bind(number, "", 0)

    def occupy(self, number: int, host: str, port: int) -> None:
        """A socket that failed before it was tried still needs its `close`."""
        connection = Connection(self, number, host, port, 1, lambda _: None)
        connection.ended = True
        self._sockets[number] = connection

    def send(self, number: int, data: bytes, release: int = 0) -> bool:
        """Whether the modem took `data`; `release` is Air's. Data on TCP is never lost."""
        socket = self._sockets.get(number)
        if socket is None or not socket.open or not socket.send(data, release):
            return False
        self.up += len(data)
        self._hooks.sent()
        return True

    def send_to(self, number: int, host: str, port: int, data: bytes, release: int = 0) -> bool:
        """As `send`, on a UDP socket, to any host; Unresolved for an unknown name."""
        self._hosts.address(host)
        socket = self._sockets.get(number)
        if not isinstance(socket, Datagrams) or not socket.open:
            return False
        socket.send_to(host, port, data, release)
        self.up += len(data)
        self._hooks.sent()
        return True

    def lookup(self, host: str, done: Callable[[str | None], None]) -> None:
        """`done(address)`, or None for a name that nobody knows, after the air's time."""
        if self._hosts.literal(host):
            done(host)
            return
        if host in self._known:
            done(self._known[host])
            return

        def resolved() -> None:
            try:
                self._known[host] = self._hosts.address(host)
            except Unresolved:
                done(None)
            else:
                done(self._known[host])

        def asked() -> None:
            self._air.down_surely(DNS_DOWN, resolved)

        self._air.up_surely(DNS_UP, asked, lambda: done(None))

    def close(self, number: int) -> None:
        """Close in good order: what was sent still arrives."""
        socket = self._sockets.pop(number, None)
        if isinstance(socket, Connection) and socket.finish():
            self._closing.add(socket)
        elif socket is not None:
            socket.end()

    def drop(self) -> None:
        """Every socket is gone at once; TCP's peers see a reset."""
        sockets = [*self._sockets.values(), *self._closing]
        self._sockets = {}
        self._closing.clear()
        self._known.clear()
        for socket in sockets:
            socket.abort()

    def detach(self) -> None:
        """As `drop`, and the terminal's address is gone as well."""
        self.drop()
        self.nat.forget()

    def hang_up(self) -> None:
        """The servers are gone: every open TCP connection is, and its closing is told."""
        for socket in list(self._sockets.values()):
            if isinstance(socket, Connection) and socket.open:
                socket.abort()
                self._hooks.closed(socket.number)

    def cut(self) -> None:
        """The data connection is gone: every open socket is, and its closing is told."""
        self.nat.forget()
        sockets, self._known = list(self._sockets.values()), {}
        for socket in sockets:
            was_open = socket.open
            socket.abort()
            if was_open:
                self._hooks.closed(socket.number)

    # -- for the sockets ------------------------------------------------------------------------

    @property
    def port(self) -> UartPort:
        """Virtual time."""
        return self._port

    @property
    def wire(self) -> Wire:
        """The UART's transmit line, whose backlog holds peers back."""
        return self._wire

    @property
    def air(self) -> Air:
        """What packets pass."""
        return self._air

    @property
    def hosts(self) -> Hosts:
        """Who can be called."""
        return self._hosts

    def connected(self) -> None:
        """A connection was opened."""
        self._hooks.opened()

    def arrived(self, connection: Connection, data: bytes) -> None:
        """Bytes of a TCP peer."""
        self.down += len(data)
        self._hooks.data(connection.number, data)

    def datagram(self, number: int, host: str, port: int, data: bytes) -> None:
        """A datagram of a UDP peer."""
        self.down += len(data)
        self._hooks.datagram(number, host, port, data)

    def broke(self, connection: Connection) -> None:
        """A peer closed, or its connection broke."""
        self._hooks.closed(connection.number)

    def finished(self, connection: Connection) -> None:
        """What a closed connection had to send has arrived."""
        self._closing.discard(connection)

    def _add(self, socket: Connection | Datagrams) -> None:
        self._sockets[socket.number] = socket
        self.history.append(socket)

    def _bind(self, number: int, host: str, port: int) -> None:
        datagrams = Datagrams(self, number, host, port)
        datagrams.begin()
        self._add(datagrams)
