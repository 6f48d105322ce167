"""The stream that `ssl` wraps: never blocks, never raises, never holds more than its bounds."""

import asyncio

import pytest
from node.errors import LinkError, SocketError
from node.link import tls
from node.link.tls import SocketStream

from tests.support.mqtt_peer import like_micropython

EIO = 5


@pytest.fixture(autouse=True)
def _asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    like_micropython(monkeypatch)


class Socket:
    """A modem's socket whose bytes and errors the test gives."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.chunks: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.sent: list[bytes] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def recv(self, n: int) -> bytes:
        self.asked.append(n)
        chunk = await self.chunks.get()
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    async def send(self, buf: memoryview) -> None:
        self.sent.append(bytes(buf))
        await self.gate.wait()
        if self.error:
            raise self.error


async def changed(stream: SocketStream) -> None:
    await asyncio.wait_for(stream.changed.wait(), 2)
    stream.changed.clear()


async def test_reads_what_came_and_asks_for_more_only_then() -> None:
    socket = Socket()
    stream = SocketStream(socket)
    assert stream.readinto(bytearray(4)) is None
    socket.chunks.put_nowait(b"abcdef")
    socket.chunks.put_nowait(b"gh")
    await changed(stream)
    buffer = bytearray(4)
    assert stream.readinto(buffer) == 4
    assert buffer == b"abcd"
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(socket.asked) == 1
    assert stream.readinto(buffer) == 2
    assert buffer == b"efcd"
    assert stream.readinto(buffer) is None
    await changed(stream)
    assert stream.readinto(buffer) == 2
    assert buffer == b"ghcd"
    assert max(socket.asked) <= 1024
    stream.stop()


async def test_end_of_stream_is_0() -> None:
    socket = Socket()
    stream = SocketStream(socket)
    socket.chunks.put_nowait(b"")
    await changed(stream)
    assert stream.readinto(bytearray(1)) == 0
    stream.stop()


async def test_writes_go_out_in_order_and_together() -> None:
    socket = Socket()
    stream = SocketStream(socket)
    assert stream.write(b"hello ") == 6
    assert stream.write(b"world") == 5
    for _ in range(5):
        await asyncio.sleep(0)
    assert socket.sent == [b"hello world"]
    assert stream.write(b"!") is None  # the buffer is on its way
    socket.gate.set()
    await changed(stream)
    assert stream.write(b"!") == 1
    await asyncio.wait_for(stream.drain(), 2)
    assert socket.sent == [b"hello world", b"!"]
    stream.stop()


async def test_the_buffer_is_bounded() -> None:
    socket = Socket()
    stream = SocketStream(socket)
    taken = stream.write(bytes(100_000))
    assert taken is not None
    assert 1024 <= taken <= 2048
    assert stream.write(b"x") is None
    stream.stop()


@pytest.mark.parametrize(
    "error", [SocketError("lost", 567), OSError(104, "reset"), MemoryError(), ValueError("?")]
)
@pytest.mark.parametrize("where", ["recv", "send"])
async def test_a_lost_socket_is_an_errno_here_and_a_link_error_above(
    error: Exception, where: str
) -> None:
    socket = Socket()
    stream = SocketStream(socket)
    if where == "recv":
        socket.chunks.put_nowait(error)
    else:
        socket.error = error
        socket.gate.set()
        stream.write(b"x")
    await changed(stream)
    assert stream.readinto(bytearray(1)) == -EIO
    assert stream.write(b"x") == -EIO
    assert isinstance(stream.failure, LinkError)
    await asyncio.wait_for(stream.drain(), 2)  # there is nothing to wait for any more
    stream.stop()


async def test_a_send_that_never_ends_is_a_lost_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "_SEND_MS", 20)
    stream = SocketStream(Socket())
    stream.write(b"x")
    await changed(stream)
    assert "not sent within 20 ms" in str(stream.failure)
    stream.stop()


async def test_what_came_before_the_loss_can_be_read() -> None:
    socket = Socket()
    stream = SocketStream(socket)
    socket.chunks.put_nowait(b"abc")
    await changed(stream)
    socket.error = SocketError("lost")
    socket.gate.set()
    stream.write(b"x")
    await changed(stream)
    assert stream.readinto(bytearray(8)) == 3
    assert stream.readinto(bytearray(8)) == -EIO
    stream.stop()


async def test_ssl_may_close_it_and_nothing_else() -> None:
    stream = SocketStream(Socket())
    assert stream.ioctl(4, 0) == 0
    assert stream.ioctl(3, 1) < 0
    stream.stop()
