"""A UDP socket that lives in the modem: whole datagrams to and from one peer, with no promise.

Imported by the first datagram() only.
"""

from micropython import const

from node.errors import SocketError
from node.link.socket import Socket
from node.modules import forget

_HELD_MOST = const(4096)  # bytes of datagrams that nobody has read yet: what comes then is lost


async def datagram(modem, host: str, port: int, deadline_ms: int) -> "Datagram":
    """A Datagram to one peer; the name is looked up first, through the cache. SocketError."""
    address = await modem.resolve(host, deadline_ms)
    forget("node.link.dns")
    try:
        socket = await modem.opened(Datagram, modem._open_udp, address, port, deadline_ms)
    except SocketError:
        from node.link import dns

        dns.drop(modem, host)
        raise
    socket.host, socket.port = address, port
    return socket


class Datagram(Socket):
    """Made by Modem.datagram. One reader and one writer at a time."""

    STREAM = False

    def __init__(self, modem, number: int) -> None:
        super().__init__(modem, number)
        self.host = ""
        self.port = 0
        self.dropped = 0  # datagrams that came and were lost for want of room, or came in part
        self._held = []
        self._size = 0  # bytes in _held

    async def send(self, buf, release: int = 0) -> None:
        """One datagram of at most MAX_DATAGRAM bytes.

        `release` tells the network (TS 24.301 9.9.4.25, where the family can): 1 nothing comes
        behind this one, 2 one answer is expected and then nothing. SocketError when the modem
        refuses; that it took it says nothing about its arrival.
        """
        if self._error is not None:
            raise self._error
        modem = self._modem
        if len(buf) > modem.MAX_DATAGRAM:
            raise SocketError("a datagram of over %d bytes" % modem.MAX_DATAGRAM)
        if not modem.RELEASE:
            release = 0
        await modem._send_udp(self.number, self.host, self.port, buf, release)
        self.sent += len(buf)

    async def recv(self) -> bytes:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The oldest datagram not read yet, whole; SocketError once the socket is lost.

        It waits as long as the peer is silent: the caller sets the deadline.
        """
        while not self._held:
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()
        data = self._held.pop(0)
        self._size -= len(data)
        return data

    def on_data(self, data) -> None:
        """A datagram from the peer; None when the modem announced one that never came whole."""
        if self._error is not None:
            return
        if data is None or self._size + len(data) > _HELD_MOST:
            self.dropped += 1
            return
        self._held.append(bytes(data))
        self._size += len(data)
        self.received += len(data)
        self._changed.set()

    def on_close(self) -> None:
        """The modem gave the socket up."""
        self.fail(SocketError("the modem closed the socket"))
