"""A TCP socket that lives in the modem; its bytes come by URC and leave in chunks."""

import asyncio

from micropython import const

from node.errors import LinkError, SocketError

_HELD_MOST = const(8192)  # bytes not read yet; push mode has no flow control but this limit


class Socket:
    """Made by Modem.connect. One reader and one writer at a time."""

    STREAM = True  # False: whole datagrams (link/datagram.py)

    def __init__(self, modem, number: int) -> None:
        self.number = number
        self.sent = 0  # bytes that the modem took
        self.received = 0  # bytes that came
        self._modem = modem
        self._held = b""
        self._closed = False
        self._ended = False  # nothing more will come
        self._error = None
        self._changed = asyncio.Event()

    async def send(self, buf) -> None:
        """All of `buf`, in chunks of the modem's size; SocketError when the connection is lost.

        After a SocketError, a timeout or a cancellation nobody knows how much left: the socket is
        lost, only close() is of use.
        """
        view = memoryview(buf)
        step = self._modem.MAX_SEND
        for at in range(0, len(view), step):
            self._check()
            part = view[at : at + step]
            whole = False
            try:
                await self._modem.transmit(self.number, part)
                whole = True
            finally:
                if not whole:
                    self.fail(SocketError("a send was cut short"))
            self.sent += len(part)

    async def recv(self, n: int) -> bytes:
        """1..`n` bytes as soon as there are any; b"" once the peer has closed.

        SocketError when the connection was lost in another way. It waits as long as the peer is
        silent: the caller sets the deadline.
        """
        while not self._held:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        held = self._held
        self._held = held[n:]
        return held if len(held) <= n else held[:n]

    async def close(self) -> None:
        """Free the modem's socket. Never raises a LinkError: what is lost is closed as well."""
        if self._closed:
            return
        self._closed = True
        self.fail(SocketError("closed"))
        try:
            if self._modem.holds(self):
                await self._modem.release(self.number)
        except LinkError:
            pass
        finally:
            self._modem.forget(self)

    def fail(self, error: SocketError) -> None:
        """The connection is lost; what came before can still be read."""
        if self._error is None:
            self._error = error
        self._changed.set()

    def on_data(self, data) -> None:
        """Bytes from the peer; None when the modem announced some that never came whole."""
        if self._error is not None or self._ended:
            return
        if data is None:
            self.fail(SocketError("the modem cut a payload short"))
        elif len(self._held) + len(data) > _HELD_MOST:
            self.fail(SocketError("over %d bytes were not read in time" % _HELD_MOST))
        else:
            self._held = self._held + data if self._held else data
            self.received += len(data)
            self._changed.set()

    def on_close(self) -> None:
        """The peer closed."""
        self._ended = True
        self._changed.set()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._ended:
            raise SocketError("the peer has closed")
