"""The firmware's TCP sockets: the board's end of what a twin carries beside its PPP link.

IP packets are not modelled. LCP and IPCP are real bytes on the UART; once they have brought the
link up, a connection of the firmware's is one of the twin's, with the same air and the same hosts.
"""

import errno
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hil.virtual.shims import _ops
from hil.virtual.uart import Uart

WINDOW = 5760  # bytes that lwIP takes before they are read (ESP-IDF: CONFIG_LWIP_TCP_WND_DEFAULT)
MOST = 16  # sockets at a time (CONFIG_LWIP_MAX_SOCKETS)
NAMES = 255  # stands for the answer to a name in place of a socket's number
_READ_MOST = 16384  # bytes of one reply


class NetError(Exception):
    """The firmware gets an OSError with this number."""

    def __init__(self, number: int) -> None:
        super().__init__(errno.errorcode.get(number, str(number)))
        self.errno = number


@dataclass(frozen=True)
class TcpEvents:
    """What a connection tells, in virtual time."""

    opened: Callable[[], None]
    data: Callable[[bytes], None]
    ended: Callable[[int], None]  # errno, 0 when the peer closed in good order
    room: Callable[[], None]  # more can be sent


class TcpCarrier(Protocol):
    """One connection in a twin."""

    def send(self, data: bytes) -> int:
        """Bytes that were taken; when they are fewer, `room` follows."""

    def hold_back(self) -> None:
        """The receiver's window is closed."""

    def go_on(self) -> None:
        """It is open again."""

    def close(self) -> None:
        """Close in good order; no event follows."""


class IpLink(Protocol):
    """What a twin that has PPP offers as `ip`."""

    @property
    def up(self) -> bool:
        """Whether IP goes both ways."""

    def connect(self, address: str, port: int, events: TcpEvents) -> TcpCarrier:
        """Open a connection in the background; one event follows at least."""

    def resolve(self, host: str, done: Callable[[str | None], None]) -> None:
        """`done(IPv4 address)`, None for a name that nobody knows."""

    def drop(self) -> None:
        """The chip was reset: its connections are gone, without a word to their peers."""


class _Socket:
    """`flags` are those of `select.poll`."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.carrier: TcpCarrier | None = None
        self.received = bytearray()
        self.error = 0
        self._changed = changed
        self._connected = self._ended = False
        self._room = True

    @property
    def flags(self) -> int:
        """What the firmware may do without waiting."""
        flags = _ops.POLL_IN if self.received or self._ended else 0
        if self._connected and self._room:
            flags |= _ops.POLL_OUT
        return flags | (_ops.POLL_ERR | _ops.POLL_HUP if self.error else 0)

    def events(self) -> TcpEvents:
        return TcpEvents(self._opened, self._data, self._end, self._has_room)

    def send(self, data: bytes) -> int:
        if self.error or not self._connected or self.carrier is None:
            raise NetError(self.error or errno.ENOTCONN)
        taken = self.carrier.send(data)
        self._room = taken == len(data)
        return taken

    def receive(self, most: int) -> bytes:
        data = bytes(self.received[: min(most, _READ_MOST)])
        del self.received[: len(data)]
        if not data and self.error:
            raise NetError(self.error)
        if data and self.carrier is not None and len(self.received) < WINDOW:
            self.carrier.go_on()
        return data

    def fail(self, number: int) -> None:
        if not self._ended:
            self._end(number)

    def _opened(self) -> None:
        self._connected = True
        self._changed()

    def _data(self, data: bytes) -> None:
        self.received += data
        if len(self.received) >= WINDOW and self.carrier is not None:
            self.carrier.hold_back()
        self._changed()

    def _end(self, number: int) -> None:
        self._ended = True
        self.error = number
        self._changed()

    def _has_room(self) -> None:
        self._room = True
        self._changed()


class Sockets:
    """Answers the NET operations. `pending`: something has happened that the VM was not told."""

    def __init__(self, uarts: Mapping[int, Uart]) -> None:
        self._uarts = uarts
        self._sockets: dict[int, _Socket] = {}
        self._changed: dict[int, None] = {}  # in the order in which it happened
        self._answers: list[bytes] = []
        self._asked = 0  # how often a name was asked for
        self.commands: dict[int, Callable[[bytes], None]] = {
            _ops.NET_OPEN: self._open,
            _ops.NET_CLOSE: self._close,
            _ops.NET_RESOLVE: self._resolve,
        }
        self.queries: dict[int, Callable[[bytes], bytes]] = {
            _ops.NET_SEND: self._send,
            _ops.NET_RECV: self._receive,
        }

    @property
    def pending(self) -> bool:
        """Whether items wait for the VM."""
        return bool(self._changed or self._answers)

    def take(self) -> bytes:
        """The items of an IDLE reply."""
        items = b""
        for number in self._changed:
            socket = self._sockets[number]
            state = struct.pack("<BH", socket.flags, socket.error)
            items += struct.pack("<BBH", _ops.NET, number, len(state)) + state
        for answer in self._answers:
            items += struct.pack("<BBH", _ops.NET, NAMES, len(answer)) + answer
        self._changed.clear()
        self._answers.clear()
        return items

    def reset(self) -> None:
        """The chip was reset or sleeps."""
        self._sockets.clear()
        self._changed.clear()
        self._answers.clear()
        self._asked += 1
        for unit in self._uarts:
            link = self._link(unit)
            if link is not None:
                link.drop()

    def _link(self, unit: int) -> IpLink | None:
        uart = self._uarts.get(unit)
        link: IpLink | None = getattr(uart.twin, "ip", None) if uart is not None else None
        return link

    def _route(self, unit: int) -> IpLink:
        link = self._link(unit)
        if link is None or not link.up:
            raise NetError(errno.EHOSTUNREACH)
        return link

    def _open(self, payload: bytes) -> None:
        unit, number, port = struct.unpack_from("<BBH", payload)
        link = self._route(unit)
        if number in self._sockets or len(self._sockets) >= MOST:
            raise NetError(errno.ENFILE)
        socket = _Socket(lambda: self._mark(number, socket))
        self._sockets[number] = socket
        socket.carrier = link.connect(payload[4:].decode(), port, socket.events())

    def _mark(self, number: int, socket: _Socket) -> None:
        if self._sockets.get(number) is socket:
            self._changed[number] = None

    def _send(self, payload: bytes) -> bytes:
        socket = self._known(payload[0])
        taken = socket.send(payload[1:])
        return struct.pack("<BH", socket.flags, taken)

    def _receive(self, payload: bytes) -> bytes:
        number, most = struct.unpack("<BH", payload)
        socket = self._known(number)
        data = socket.receive(most)
        return bytes((socket.flags,)) + data

    def _close(self, payload: bytes) -> None:
        socket = self._sockets.pop(payload[0], None)
        self._changed.pop(payload[0], None)
        if socket is not None and socket.carrier is not None:
            socket.carrier.close()

    def _known(self, number: int) -> _Socket:
        if number not in self._sockets:
            raise NetError(errno.EBADF)
        return self._sockets[number]

    def _resolve(self, payload: bytes) -> None:
        link = self._route(payload[0])
        self._asked += 1
        asked = self._asked

        def done(address: str | None) -> None:
            if asked == self._asked:  # else nobody waits for it any more
                self._answers.append((address or "").encode())

        link.resolve(payload[1:].decode(), done)
