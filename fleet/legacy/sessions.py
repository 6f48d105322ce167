"""One TCP connection of a terminal: read into a buffer that all share, paced and timed out."""

import asyncio
import socket
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Protocol, cast

from fleet.coap.limits import Limits
from fleet.legacy.commits import Commits, Item
from fleet.legacy.intake import Source, Stored
from fleet.legacy.limits import Bounds, Bucket, Speakers

# Bytes read at once. All connections have one buffer, since each is done with it at once; and a
# search in garbage costs up to 16 us a byte, in which all others wait.
READ = 2 << 10
_WRITE = 4 << 10  # bytes of answers that a peer may leave unread
_KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 120), (socket.TCP_KEEPINTVL, 30), (socket.TCP_KEEPCNT, 4),
)  # fmt: skip
_PACED, _QUEUE, _PENDING = 1, 2, 4  # why a connection is not read


class Feed(Protocol):
    """What makes frames of bytes. `silence_s`: after which it is flushed while it is holding."""

    silence_s: float

    @property
    def is_holding(self) -> bool:
        """Whether bytes wait for others."""

    def flush(self) -> int:
        """They will not come; how many frames are among what was held."""

    def feed(self, data: bytes) -> int:
        """Take what came; how many frames that were."""

    def close(self) -> None:
        """Nothing more comes."""


class Hall:
    """What the connections of one process share: counts, bounds, and who is silent how long."""

    def __init__(self, commits: Commits, bounds: Bounds, counts: Counter[str]) -> None:
        self.commits, self.bounds, self.counts = commits, bounds, counts
        self.buffer = memoryview(bytearray(READ))
        self.speakers = Speakers()
        self.loop = asyncio.get_running_loop()
        # The one that has been silent longest comes first; a silent one costs no timer.
        self.unproven: OrderedDict[Session, float] = OrderedDict()
        self.proven: OrderedDict[Session, float] = OrderedDict()
        self.holding: dict[Session, float] = {}  # and when bytes came last
        self.parts = 0
        self.limits = Limits(self.loop.time)

    def __len__(self) -> int:
        return len(self.unproven) + len(self.proven)

    def sweep(self) -> None:
        """Close those that have been silent too long; end the wait for the rest of a frame."""
        now = self.loop.time()
        for session, since in list(self.holding.items()):
            session.flush(now - since)
        for sessions, most, what in (
            (self.unproven, self.bounds.first_s, "half-open"),
            (self.proven, self.bounds.idle_s, "idle"),
        ):
            while sessions:
                session, since = next(iter(sessions.items()))
                if now - since < most:
                    break
                session.end(what)


class Session(asyncio.BufferedProtocol):
    """A connection; `make` gives what makes frames of its bytes."""

    __slots__ = (
        "_bucket", "_ended", "_feed", "_garbage", "_hall", "_make", "_parts", "_pauses",
        "_pending", "_proven", "_transport", "host",
    )  # fmt: skip

    def __init__(self, hall: Hall, make: Callable[["Session"], Feed]) -> None:
        self._hall = hall
        self._make = make
        self.host = ""
        self._transport: asyncio.Transport | None = None
        self._feed: Feed | None = None
        self._bucket = Bucket(hall.bounds, hall.loop.time())
        self._pending = self._garbage = self._parts = self._pauses = 0
        self._proven = self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        hall = self._hall
        made = self._transport = cast("asyncio.Transport", transport)
        peer = made.get_extra_info("peername")
        self.host = str(peer[0]) if peer else ""
        if len(hall) >= hall.bounds.connections:
            self._turn_away("full")
            return
        if not hall.limits.admit(mapped(self.host)):
            self._turn_away("limited")
            return
        while len(hall.unproven) >= hall.bounds.unproven:
            next(iter(hall.unproven)).end("half-open")
        hall.counts["connections"] += 1
        hall.unproven[self] = hall.loop.time()
        made.set_write_buffer_limits(high=_WRITE)
        sock = made.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._feed = self._make(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio calls it."""
        self._gone()

    def get_buffer(self, sizehint: int) -> memoryview:
        """As asyncio calls it."""
        return self._hall.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """As asyncio calls it."""
        if self._feed is None:
            return
        hall = self._hall
        self._count(self._feed.feed(bytes(hall.buffer[:nbytes])))
        if self._feed is not None and self._feed.is_holding:
            hall.holding[self] = hall.loop.time()
        elif hall.holding:
            hall.holding.pop(self, None)

    def flush(self, silent_s: float) -> None:
        """After so long a silence nothing more of a frame comes, unless it is not read."""
        if self._feed is None or self._pauses or silent_s < self._feed.silence_s:
            return
        del self._hall.holding[self]
        self._count(self._feed.flush())

    def _count(self, frames: int) -> None:
        hall = self._hall
        if frames:
            pause_s = self._bucket.take(hall.bounds, frames, hall.loop.time())
            if pause_s and self._transport is not None:
                hall.counts["paced"] += 1
                self._pause(_PACED)
                hall.loop.call_later(pause_s, self._resume, _PACED)

    def eof_received(self) -> bool:
        """As asyncio calls it: the peer will say no more, but may still hear its answers."""
        self._ended = True
        return self._pending > 0

    def pause_writing(self) -> None:
        """As asyncio calls it: the peer does not read its answers."""
        self.end("reads no answers")

    @property
    def is_open(self) -> bool:
        """Whether there is somebody to speak to."""
        return self._transport is not None

    def commit(self, source: Source, item: Item) -> None:
        """Have it committed; too many of them, or all in all, and nothing more is read."""
        hall = self._hall
        first, clash = hall.speakers.heard(source, self, self.host, hall.loop.time())
        self._pending += 1
        done = item.done

        def committed(stored: Stored) -> None:
            done(stored)
            self._pending -= 1
            if self._pending == hall.bounds.pending // 2:
                self._resume(_PENDING)
            if not self._pending and self._ended and self._transport is not None:
                self._transport.close()

        if clash is not None:
            hall.counts["clashes"] += 1
        item = item._replace(done=committed, is_first=first, clash=clash)
        if not hall.commits.submit(item):
            hall.counts["queue full"] += 1
            if not self._pauses & _QUEUE:
                self._pause(_QUEUE)
                hall.commits.when_room(self._has_room)
        if self._pending >= hall.bounds.pending:
            self._pause(_PENDING)

    def send(self, data: bytes) -> None:
        """Answer."""
        if self._transport is not None and not self._transport.is_closing():
            self._hall.counts["answers"] += 1
            self._transport.write(data)

    def proven(self) -> None:
        """A whole frame has come: it is of the protocol."""
        hall = self._hall
        hall.counts["frames"] += 1
        self._garbage = 0
        if not self._proven:
            self._proven = True
            hall.limits.proven(mapped(self.host))
            hall.unproven.pop(self, None)
        if self._transport is not None:
            hall.proven[self] = hall.loop.time()
            hall.proven.move_to_end(self)

    def bad(self, what: str, size: int) -> None:
        """So many bytes were no frame."""
        self._hall.counts[what] += 1
        self._garbage += size
        if self._garbage > self._hall.bounds.garbage:
            self._hall.limits.forged(mapped(self.host))
            self.end("only garbage")

    def parts(self, size: int) -> bool:
        """So many bytes wait for others of their message."""
        hall = self._hall
        hall.parts += size - self._parts
        self._parts = size
        if size > hall.bounds.parts_one or hall.parts > hall.bounds.parts_all:
            hall.counts["too many parts"] += 1
            return False
        return True

    def end(self, why: str) -> None:
        """Close it at once."""
        self._hall.counts[why] += 1
        transport = self._transport
        self._gone()
        if transport is not None:
            transport.abort()

    def _turn_away(self, why: str) -> None:
        self._hall.counts[why] += 1
        if self._transport is not None:
            self._transport.abort()
        self._transport = None

    def _has_room(self) -> None:
        self._resume(_QUEUE)

    def _pause(self, why: int) -> None:
        if not self._pauses and self._transport is not None:
            self._transport.pause_reading()
        self._pauses |= why

    def _resume(self, why: int) -> None:
        before, self._pauses = self._pauses, self._pauses & ~why
        if before and not self._pauses and self._transport is not None:
            self._transport.resume_reading()

    def _gone(self) -> None:
        self._transport = None
        self._hall.unproven.pop(self, None)
        self._hall.proven.pop(self, None)
        self._hall.holding.pop(self, None)
        self._hall.parts -= self._parts
        self._parts = 0
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()


def mapped(host: str) -> str:
    """An address as limits take it: of IPv4 as IPv6 writes it."""
    return f"::ffff:{host}" if "." in host and ":" not in host else host
