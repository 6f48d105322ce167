"""TLS over a modem's socket: `ssl` wraps a stream of ours, so that the keys stay in the node.

The stream never blocks. Two tasks carry bytes between it and the socket, and whoever waits for
TLS waits for an event of theirs.
"""

import asyncio
import gc
import io
import ssl

from micropython import const

from node.errors import LinkError, SocketError, TlsError

_CHUNK = const(1024)  # most bytes of one recv
_OUT = const(1024)  # one send of every modem; a longer record takes two
_SEND_MS = const(120_000)  # a modem at the cell's edge; its own deadlines are shorter
_FLUSH_MS = const(5_000)
_IOCTL_CLOSE = const(4)  # MP_STREAM_CLOSE in py/stream.h
_EIO = const(5)
_EINVAL = const(22)
_VERIFY_FAILED = const(-0x2700)  # MBEDTLS_ERR_X509_CERT_VERIFY_FAILED
_CONN_EOF = const(-0x7280)  # MBEDTLS_ERR_SSL_CONN_EOF


class SocketStream(io.IOBase):
    """What `ssl` reads and writes. It holds one received chunk and one buffer to send.

    Nothing in readinto, write and ioctl may raise: mbedTLS is on the C stack above them.
    """

    def __init__(self, socket) -> None:
        self.changed = asyncio.Event()  # bytes came or went, or nothing will any more
        self.failure = None  # the LinkError that ended the socket
        self._socket = socket
        self._in = memoryview(b"")
        self._ended = False  # the peer sends nothing more
        self._taken = asyncio.Event()
        self._out = memoryview(bytearray(_OUT))
        self._used = 0
        self._sending = False
        self._due = asyncio.Event()
        self._tasks = (asyncio.create_task(self._receive()), asyncio.create_task(self._send()))

    def readinto(self, buf) -> "int | None":
        """Bytes put into `buf`; None: nothing is there yet; 0: the peer closed; -errno."""
        held = len(self._in)
        if not held:
            if self.failure is not None:
                return -_EIO
            return 0 if self._ended else None
        n = min(held, len(buf))
        memoryview(buf)[:n] = self._in[:n]
        self._in = self._in[n:]
        if n == held:
            self._taken.set()
        return n

    def write(self, buf) -> "int | None":
        """Bytes taken from `buf` to be sent; None: no room yet; -errno."""
        if self.failure is not None:
            return -_EIO
        n = min(len(buf), _OUT - self._used)
        if self._sending or not n:
            return None
        self._out[self._used : self._used + n] = memoryview(buf)[:n]
        self._used += n
        self._due.set()
        return n

    def ioctl(self, request: int, _argument: int) -> int:
        """Closing is left to the socket's owner; nobody polls, all wait for `changed`."""
        return 0 if request == _IOCTL_CLOSE else -_EINVAL

    async def drain(self) -> None:
        """Until all that was written is with the socket, or can never be."""
        while self._used and self.failure is None:
            self.changed.clear()
            await self.changed.wait()

    def stop(self) -> None:
        """Move no more bytes. The socket stays open."""
        for task in self._tasks:
            task.cancel()
        self.changed.set()

    async def _receive(self) -> None:
        # Waits as long as the peer is silent: deadlines are with those who want an answer.
        try:
            while True:
                chunk = await self._socket.recv(_CHUNK)
                if not chunk:
                    self._ended = True
                    self.changed.set()
                    return
                self._taken.clear()
                self._in = memoryview(chunk)
                self.changed.set()
                await self._taken.wait()
        except Exception as e:  # those who wait raise it
            self._fail(e)

    async def _send(self) -> None:
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                self._sending = True
                await asyncio.wait_for_ms(self._socket.send(self._out[: self._used]), _SEND_MS)
                self._used = 0
                self._sending = False
                self.changed.set()
        except asyncio.TimeoutError:
            self._fail(SocketError("not sent within %d ms" % _SEND_MS))
        except Exception as e:  # those who wait raise it
            self._fail(e)

    def _fail(self, error) -> None:
        if not isinstance(error, LinkError):
            cause = error.errno if isinstance(error, OSError) else 0
            error = SocketError("%r" % error, cause or 0)
        if self.failure is None:
            self.failure = error
        self.changed.set()


class TlsStream:
    """A session with one peer. One task reads; any number may write.

    The handshake takes place inside the first write, since `ssl` cannot be asked to do it alone
    without blocking, nor whether it is over. A TlsError is the session's end, and comes again.
    """

    def __init__(self, raw: SocketStream, session, socket, handshake_ms: int) -> None:
        self._raw = raw
        self._session = session
        self._socket = socket
        self._handshake_ms = handshake_ms
        self._established = False
        self._lock = asyncio.Lock()
        self._error: "LinkError | None" = None

    async def readexactly(self, n: int) -> bytearray:
        """`n` bytes; TlsError or SocketError when the connection ends before."""
        data = bytearray(n)
        await self.readinto(memoryview(data))
        return data

    async def readinto(self, view) -> None:
        """As `readexactly`, as many bytes as `view` has, a memoryview."""
        at = 0
        while at < len(view):
            count = await self._repeat(self._session.readinto, view[at:])
            if not count:
                raise self._fail(TlsError("the peer closed the connection", _CONN_EOF))
            at += count

    async def write(self, data) -> None:
        """Hand all of `data` over. A write that is cut short ends the session."""
        view = memoryview(data)
        async with self._lock:
            whole = False
            try:
                at = 0
                if not self._established:
                    at = await self._first(view)
                while at < len(view):
                    at += await self._repeat(self._session.write, view[at:])
                whole = True
            finally:
                # mbedTLS wants a cut record repeated as it was: another write cannot follow.
                if not whole and self._error is None:
                    self._error = TlsError("a write was cut short")

    async def close(self) -> None:
        """Send what is pending (at most 5 s), then end the session and the socket."""
        try:
            await asyncio.wait_for_ms(self._raw.drain(), _FLUSH_MS)
        except asyncio.TimeoutError:
            pass  # the socket is closed all the same
        finally:
            self._fail(TlsError("closed"))
            self._raw.stop()
            self._session.close()
        await self._socket.close()

    async def _first(self, view) -> int:
        limit = self._handshake_ms
        try:
            at = await asyncio.wait_for_ms(self._repeat(self._session.write, view), limit)
        except asyncio.TimeoutError:
            raise self._fail(TlsError("no handshake within %d ms" % limit))
        self._established = True
        return at

    async def _repeat(self, operation, argument) -> int:
        while True:
            if self._error is not None:
                raise self._error
            try:
                result = operation(argument)
            except OSError as e:
                raise self._fail(self._raw.failure or TlsError(str(e), e.errno or 0))
            except ValueError as e:
                raise self._fail(TlsError(str(e).strip(), _VERIFY_FAILED))
            if result is not None:
                return result
            self._raw.changed.clear()
            await self._raw.changed.wait()

    def _fail(self, error: LinkError) -> LinkError:
        if self._error is None:
            self._error = error
        return self._error


def secure(socket, host: str, context, handshake_ms: int) -> TlsStream:
    """A mutually authenticated session over `socket`, whose peer must prove to be `host`.

    `context` is of `credentials`. TlsError.cause is mbedTLS's number, 0 for the deadline. On
    failure `socket` stays open: its owner closes it.
    """
    raw = SocketStream(socket)
    try:
        session = context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)
    except OSError as e:
        raw.stop()
        raise TlsError(str(e), e.errno or 0)
    return TlsStream(raw, session, socket, handshake_ms)


def credentials(ca_der: bytes, cert_der: bytes, key_der: bytes):
    """What a session proves itself by: DER, `ca_der` is the one trusted root, the key is P-256.

    TlsError where they are damaged.
    """
    gc.collect()  # a dead session keeps its buffers, outside the heap, until it is collected
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED  # MicroPython's ssl begins with CERT_NONE
        context.load_verify_locations(cadata=ca_der)
        context.load_cert_chain(cert_der, key_der)
    except ValueError as e:
        raise TlsError("credentials: %s" % e)
    except OSError as e:
        raise TlsError("credentials: %s" % e, e.errno or 0)
    return context
