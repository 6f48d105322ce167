"""Blocks of an update by HTTPS, for nodes on LTE Cat 1: a small HTTP/1.1 client (RFC 9110, 9112)
that asks for ranges of one file. It takes the place of the door, beside which TLS has no room.
"""

import asyncio
import time

from micropython import const

from node import config as stored
from node.errors import LinkError
from node.link.replies import whole
from node.link.tls import wrap
from node.modules import forget

_SOCKET_MS = const(75_000)  # as mqtt_door
_TLS_MS = const(90_000)
_SILENCE_MS = const(30_000)
_LINE_MOST = const(256)  # bytes of a line of a head, and how many there may be
_LINES_MOST = const(32)
_PARTIAL = const(206)
# wire/release.py: 410 GONE, 404 and 416 UNKNOWN, 503 LATER.
_WORDS = {410: 1, 404: 2, 416: 2, 503: 3}


class HttpError(LinkError):
    """The fleet's server refused, or broke HTTP/1.1; `cause` is the status, or 0."""

    code = 23


async def instead(link):
    """The open door by HTTPS, over the bearer of the one that was open; `link`, a Session, has it.

    LinkError as for a door's `open`.
    """
    await link.opened.pop().close()
    forget("node.link.mqtt_door")
    forget("node.link.mqtt")
    door = Https(link.opened[-1] if link.opened else link.modem, link.config)
    link.opened.append(door)
    await door.open()
    return door


class Https:
    """A door with `open`, `blocks` and `close` only. `config`: host, and the port `updates`."""

    BLOCK = 4096
    WINDOW = 16  # 64 KiB, the most that the fleet gives at once

    def __init__(self, bearer, config: dict) -> None:
        self._bearer = bearer
        self._host = config["host"]
        self._port = config["updates"]
        self._socket = None
        self._stream = None
        self._byte = memoryview(bytearray(1))
        self._block = b""

    async def open(self) -> None:
        """The socket, and TLS with the node's own certificate; its handshake waits for the first
        request.
        """
        self._socket = await self._bearer.connect(self._host, self._port, _SOCKET_MS)
        c = stored.credentials()
        ca, cert, key = c.pop("ca"), c.pop("cert"), c.pop("key")
        self._stream = wrap(self._socket, self._host, ca, cert, key, _TLS_MS)

    async def blocks(
        self, number: int, size: int, first: int, missing: bytes, take, deadline_ms: int
    ) -> int:
        """See node.link.door: a request for each run of blocks that are missing."""
        until = time.ticks_add(time.ticks_ms(), deadline_ms)
        at, end = 0, 8 * len(missing)
        while at < end:
            if not _has(missing, at):
                at += 1
                continue
            run = at
            while at < end and _has(missing, at):
                at += 1
            left = time.ticks_diff(until, time.ticks_ms())
            if left <= 0:
                return 0
            whole_run = False
            try:
                ask = self._run(number, size, first + run, at - run, take)
                word = await asyncio.wait_for_ms(ask, left)
                whole_run = True
                if word:
                    return word
            except asyncio.TimeoutError:
                return 0
            finally:
                if not whole_run:
                    await self.close()  # in the middle of an answer: of no use any more
        return 0

    async def close(self) -> None:
        """TLS, then the socket. Twice does nothing."""
        stream, socket = self._stream, self._socket
        self._stream = self._socket = None
        try:
            if stream is not None:
                await stream.close()
            elif socket is not None:
                await socket.close()
        except LinkError:
            pass  # the socket is lost, and so closed

    async def _run(self, number: int, size: int, index: int, count: int, take) -> int:
        if self._stream is None:
            raise HttpError("the door is not open")
        start = index * size
        end = start + count * size
        text = "GET /v1/updates/%d HTTP/1.1\r\nHost: %s:%d\r\nRange: bytes=%d-%d\r\n\r\n"
        await self._stream.write(
            (text % (number, self._host, self._port, start, end - 1)).encode()
        )
        status, length, range_ = await self._head()
        if status in _WORDS:
            await self.close()
            return _WORDS[status]
        if status != _PARTIAL:
            raise HttpError("status %d" % status, status)
        if range_ is None or range_[0] != start or not 0 < length <= end - start:
            raise HttpError("another range than was asked for")
        last, total = range_[1:]
        if last != start + length - 1 or last >= total:
            raise HttpError("a range that is not its length")
        if len(self._block) != size:
            self._block = bytearray(size)  # one for all: the heap has no room for a second
        while length:
            n = min(size, length)
            view = memoryview(self._block)[:n]
            await self._fill(view)
            length -= n
            if n == size or not length:
                take(index, view)
            index += 1
        return 0

    async def _head(self) -> tuple:
        # (status, Content-Length, (first, last, total) of Content-Range or None)
        line = await self._line()
        status = whole(line[9:12])
        if line[:7] != "HTTP/1." or status is None:
            raise HttpError("no HTTP")
        length = 0
        told = None
        for _ in range(_LINES_MOST):
            line = await self._line()
            if not line:
                return status, length, told
            name, _, value = line.partition(":")
            name = name.lower()
            if name == "content-length":
                length = _number(value)
            elif name == "content-range":
                told = _range(value.strip())
            elif name == "transfer-encoding":
                raise HttpError("an answer of unknown length")
        raise HttpError("a head of over %d lines" % _LINES_MOST)

    async def _line(self) -> str:
        line = bytearray()
        while len(line) <= _LINE_MOST:
            await self._fill(self._byte)
            if self._byte[0] == 10:
                if line[-1:] == b"\r":
                    line = line[:-1]
                for byte in line:
                    if not 32 <= byte < 127 and byte != 9:
                        raise HttpError("a head of other bytes than text")
                return line.decode()
            line.append(self._byte[0])
        raise HttpError("a line of over %d bytes" % _LINE_MOST)

    async def _fill(self, view) -> None:
        try:
            await asyncio.wait_for_ms(self._stream.readinto(view), _SILENCE_MS)  # type: ignore
        except asyncio.TimeoutError:
            raise HttpError("silent for %d ms" % _SILENCE_MS)


def _has(bits: bytes, at: int) -> bool:
    return bool(bits[at >> 3] & 128 >> (at & 7))


def _number(text: str) -> int:
    value = whole(text)
    if value is None or value < 0:
        raise HttpError("no length")
    return value


def _range(text: str) -> "tuple | None":
    # bytes <first>-<last>/<total>; None for bytes */<total>
    if text[:6] != "bytes " or text[6:7] == "*":
        return None
    span, _, total = text[6:].partition("/")
    first, _, last = span.partition("-")
    return _number(first), _number(last), _number(total)
