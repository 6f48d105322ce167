"""TCP beside a PPP link: the modem's air and hosts carry it, the UART's time is charged to it."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from hil.virtual.modem.bridge import Bridge, BridgeHooks, Connection, Unresolved
from hil.virtual.net import TcpEvents

if TYPE_CHECKING:
    from hil.virtual.modem.engine import ModemTwin

SEND_MOST = 5760  # bytes without acknowledgement (ESP-IDF: CONFIG_LWIP_TCP_SND_BUF_DEFAULT)
READ_MOST = 1360  # of one segment
HEADERS = 40 + 8  # octets of IPv4 and TCP, and of PPP with its flags and FCS
ESCAPED = 128  # one octet of so many is escaped, in data that are as good as random
ROOM_US = 20_000  # how often a sender that waits for room looks


class Carried:
    """A TcpCarrier of `sockets`."""

    def __init__(self, sockets: "PppSockets", number: int, events: TcpEvents) -> None:
        self.number = number
        self.events = events
        self.over = False  # no event follows
        self._sockets = sockets
        self._taken = 0
        self._waiting = False

    def send(self, data: bytes) -> int:
        """As TcpCarrier's."""
        part = data[: max(0, self._room())]
        if part:
            self._taken += len(part)
            self._sockets.uplink(len(part), lambda: self._sockets.hand(self.number, part))
        if len(part) < len(data) and not self._waiting:
            self._waiting = True
            self._sockets.later(ROOM_US, self._look)
        return len(part)

    def hold_back(self) -> None:
        """As TcpCarrier's."""
        connection = self._sockets.connection(self.number)
        if connection is not None:
            connection.hold_back()

    def go_on(self) -> None:
        """As TcpCarrier's."""
        connection = self._sockets.connection(self.number)
        if connection is not None:
            connection.go_on()

    def close(self) -> None:
        """As TcpCarrier's: behind what was sent."""
        self.over = True
        self._sockets.uplink(0, lambda: self._sockets.close(self.number))

    def _room(self) -> int:
        connection = self._sockets.connection(self.number)
        return SEND_MOST - self._taken + connection.acked if connection is not None else 0

    def _look(self) -> None:
        if self.over:
            return
        if self._room() > 0:
            self._waiting = False
            self.events.room()
        else:
            self._sockets.later(ROOM_US, self._look)


class PppSockets:
    """The connections of one PPP link; `drop` ends them, and all that was on its way."""

    def __init__(self, modem: "ModemTwin", up: Callable[[], bool]) -> None:
        self._modem = modem
        lower = modem.bridge
        self._port, self._wire = lower.port, lower.wire
        self._carried: dict[int, Carried] = {}
        self._numbers = 0
        self._held: list[Callable[[], None]] | None = None  # while the modem is in command mode
        self._era = 0  # grows with each drop: what was timed before is void
        self._up_us = 0  # the host's line is busy until then
        hooks = BridgeHooks(
            allowed=lambda: up() and modem.context_allowed,
            data=self._data,
            closed=self._closed,
            datagram=lambda *_: None,
            opened=lambda: modem.timeline.trigger("open"),
            sent=lambda: modem.timeline.trigger("send"),
        )
        self.bridge = Bridge(self._port, self._wire, lower.air, lower.hosts, hooks)

    def connect(self, address: str, port: int, events: TcpEvents) -> Carried:
        """As IpLink's."""
        self._numbers += 1
        number = self._numbers
        carried = self._carried[number] = Carried(self, number, events)
        began_us = self._port.now()

        def done(connected: bool) -> None:
            late = self._port.now() - began_us > 60_000_000
            refused = errno.ETIMEDOUT if late else errno.ECONNREFUSED
            self._tell(number, events.opened if connected else lambda: events.ended(refused))

        def call() -> None:
            try:
                self.bridge.open(number, address, port, READ_MOST, done)
            except Unresolved:
                self._tell(number, lambda: events.ended(errno.EHOSTUNREACH))

        self.uplink(0, call)
        return carried

    def resolve(self, host: str, done: Callable[[str | None], None]) -> None:
        """As IpLink's."""
        self.bridge.lookup(host, done)

    def drop(self, number: int = 0) -> None:
        """Every connection is gone; with a `number` (errno) the firmware is told."""
        self._era += 1
        if self._held is not None:
            self._held.clear()
        carried, self._carried = list(self._carried.values()), {}
        self.bridge.drop()
        for one in carried:
            if number and not one.over:
                one.events.ended(number)
            one.over = True

    def pause(self) -> None:
        """Nothing passes the UART until `resume`."""
        if self._held is None:
            self._held = []

    def resume(self) -> None:
        """What was held back passes now."""
        held, self._held = self._held or [], None
        for fn in held:
            fn()

    # -- for the connections --------------------------------------------------------------------

    def connection(self, number: int) -> Connection | None:
        """The bridge's; None once it is gone."""
        found = self.bridge.get(number)
        return found if isinstance(found, Connection) else None

    def hand(self, number: int, data: bytes) -> None:
        """Bytes have passed the UART."""
        self.bridge.send(number, data)

    def close(self, number: int) -> None:
        """Its FIN has passed the UART."""
        self._carried.pop(number, None)
        self.bridge.close(number)

    def uplink(self, size: int, fn: Callable[[], None]) -> None:
        """Call `fn` when a packet with `size` octets of data has passed the host's line."""
        duration_us = self._wire.duration_us(on_line(size))
        self._up_us = max(self._port.now(), self._up_us) + duration_us
        self.later(self._up_us - self._port.now(), fn)

    def later(self, us: int, fn: Callable[[], None]) -> None:
        """Call `fn` unless the link goes down before."""
        era = self._era

        def call() -> None:
            if era != self._era:
                return
            if self._held is None:
                fn()
            else:
                self._held.append(call)

        self._port.call_at(self._port.now() + us, call)

    # -- from the air ---------------------------------------------------------------------------

    def _data(self, number: int, data: bytes) -> None:
        carried = self._carried.get(number)
        if carried is not None:
            self._tell(number, lambda: carried.events.data(data), len(data))

    def _closed(self, number: int) -> None:
        carried = self._carried.get(number)
        if carried is not None:
            self._tell(number, lambda: carried.events.ended(0))

    def _tell(self, number: int, tell: Callable[[], None], size: int = 0) -> None:
        """Have an event happen when its packet has passed the modem's line."""

        def arrived() -> None:
            carried = self._carried.get(number)
            if carried is not None and not carried.over:
                tell()

        self.later(self._wire.carry(on_line(size)) - self._port.now(), arrived)


def on_line(size: int) -> int:
    """Octets that a packet with `size` octets of data takes on the UART."""
    return HEADERS + size + size // ESCAPED
