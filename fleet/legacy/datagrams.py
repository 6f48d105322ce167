"""HJ 212 and SL 651 in datagrams: what a peer says is remembered for a while, within bounds."""

import asyncio
from collections import OrderedDict
from typing import Any, cast

from fleet.legacy.channel import Rules
from fleet.legacy.commits import Item
from fleet.legacy.intake import Source, Stored
from fleet.legacy.sessions import Hall, mapped
from fleet.legacy.talks import MakeTalk, Talk

_LONGEST = 4_200  # bytes; the longest frame of SL 651 has 4,117
_PEERS = 2_000  # whose unfinished messages are kept; the one not heard for longest is forgotten


class Peer:
    """One address of the other end."""

    def __init__(self, hall: Hall, transport: asyncio.DatagramTransport, address: Any) -> None:
        self._hall = hall
        self._transport = transport
        self._address = address
        self._parts = 0
        self.host = str(address[0])

    def commit(self, source: Source, item: Item) -> None:
        """Have it committed, or drop it where the queue is full: its sender repeats it."""
        hall = self._hall
        first, clash = hall.speakers.heard(source, self.host, self.host, hall.loop.time())
        if hall.commits.is_full:
            hall.counts["datagrams dropped"] += 1
            item.done(Stored(refused=1, why="queue full"))
            return
        hall.commits.submit(item._replace(is_first=first, clash=clash))

    def send(self, data: bytes) -> None:
        """Answer."""
        self._hall.counts["answers"] += 1
        if not self._transport.is_closing():
            self._transport.sendto(data, self._address)

    def proven(self) -> None:
        """A whole frame has come."""
        self._hall.counts["frames"] += 1
        self._hall.limits.proven(mapped(self.host))

    def bad(self, what: str, size: int) -> None:
        """So many bytes were no frame."""
        self._hall.counts[what] += 1
        if size:
            self._hall.limits.forged(mapped(self.host))

    def parts(self, size: int) -> bool:
        """So many bytes wait for others of their message."""
        hall = self._hall
        hall.parts += size - self._parts
        self._parts = size
        return size <= hall.bounds.parts_one and hall.parts <= hall.bounds.parts_all


class Datagrams(asyncio.DatagramProtocol):
    """All datagrams of one port."""

    def __init__(self, hall: Hall, rules: Rules, make: MakeTalk) -> None:
        self._hall, self._rules, self._make = hall, rules, make
        self._transport: asyncio.DatagramTransport | None = None
        self._peers: OrderedDict[Any, tuple[Peer, Talk]] = OrderedDict()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """As asyncio calls it."""
        counts = self._hall.counts
        counts["datagrams"] += 1
        if self._transport is None or len(data) > _LONGEST:
            counts["datagrams too long"] += 1
            return
        if not self._hall.limits.admit(mapped(addr[0])):
            counts["datagrams limited"] += 1
            return
        if addr not in self._peers:
            peer = Peer(self._hall, self._transport, addr)
            self._peers[addr] = peer, self._make(self._rules, peer)
            while len(self._peers) > _PEERS:
                _, (gone, _talk) = self._peers.popitem(last=False)
                gone.parts(0)
        self._peers.move_to_end(addr)
        talk = self._peers[addr][1]
        talk.feed(data)
        talk.flush()  # a frame ends with its datagram

    def error_received(self, exc: Exception) -> None:
        """As asyncio calls it: an answer found nobody."""
        self._hall.counts["answers unheard"] += 1
