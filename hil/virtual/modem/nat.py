"""The operator's NAT: a public port for each UDP socket, until the terminal was silent too long.

RFC 4787: only what goes out keeps a mapping alive (REQ-6 leaves the other direction open), and it
lives for two minutes or more (REQ-5).
"""

import asyncio
import contextlib
import itertools
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hil.virtual.twin import UartPort

DATAGRAM_MOST = 65_535
QUEUE = 16  # datagrams read at a time, so that a flood leaves the loop its turn
OLD_MOST = 2  # ports of closed sockets, and ports that were replaced, that are still listened to
Peer = tuple[str, int]
Received = Callable[[bytes, Peer], None]


@dataclass(frozen=True)
class NatOptions:
    """`addresses`: how many public ones; each new port is on the next, from 127.0.0.1 on."""

    timeout_s: float = 120.0
    addresses: int = 1


class Nat:
    """`rebound`: sockets that got another port. `stale`: datagrams for a port that is no more."""

    def __init__(self, port: UartPort, options: NatOptions) -> None:
        self._port = port
        self._timeout_us = int(options.timeout_s * 1_000_000)
        self._addresses = itertools.cycle(f"127.0.0.{n + 1}" for n in range(options.addresses))
        self._mappings: list[Mapping] = []
        self._old: deque[PublicPort] = deque()
        self.rebound = 0
        self.stale = 0

    def enter(self, received: Received) -> "Mapping":
        """A mapping for one socket; `received` gets what comes from outside."""
        mapping = Mapping(self, received)
        self._mappings.append(mapping)
        return mapping

    def renew(self) -> None:
        """No mapping holds any more: each socket gets another port when it sends."""
        for mapping in self._mappings:
            mapping.lose()
        for public in self._old:
            public.lost = True

    def forget(self) -> None:
        """As `renew`, and nobody listens to what still comes: the terminal is gone."""
        self.renew()
        while self._old:
            self._old.popleft().close()

    # -- for its mappings -----------------------------------------------------------------------

    def fresh(self, mapping: "Mapping") -> "PublicPort":
        """Another public port, as none before that is still listened to."""
        return PublicPort(self, next(self._addresses), mapping.received)

    def retire(self, public: "PublicPort") -> None:
        """Nobody sends from it again; what still comes to it is listened to for a while."""
        self._old.append(public)
        if len(self._old) > OLD_MOST:
            self._old.popleft().close()

    def remove(self, mapping: "Mapping") -> None:
        """Its socket is closed."""
        self._mappings.remove(mapping)

    def alive(self, public: "PublicPort") -> bool:
        """Whether something went out through it within the timeout."""
        return self.now() - public.used_us <= self._timeout_us

    def now(self) -> int:
        """Virtual time in microseconds."""
        return self._port.now()

    def passed(self) -> None:
        """Something real has become something virtual."""
        self._port.kick()


class PublicPort:
    """A real UDP socket. `lost` is set once the NAT has given the port to nobody."""

    def __init__(self, nat: Nat, address: str, received: Received) -> None:
        self.used_us = nat.now()
        self.lost = False
        self._nat = nat
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((address, 0))
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes, peer: tuple[str | None, int]) -> None:
        """UDP tells nobody that nobody listens."""
        self.used_us = self._nat.now()
        with contextlib.suppress(OSError):
            self._socket.sendto(data, peer)

    def close(self) -> None:
        """Nobody listens any more."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(QUEUE):
            try:
                data, peer = self._socket.recvfrom(DATAGRAM_MOST)
            except OSError:
                break  # nothing more; or an ICMP error of an earlier datagram
            if self.lost or not self._nat.alive(self):
                self._nat.stale += 1
            else:
                self._received(data, peer)
        self._nat.passed()


class Mapping:
    """What the NAT knows of one socket. It listens from the first datagram on."""

    def __init__(self, nat: Nat, received: Received) -> None:
        self.received = received
        self._nat = nat
        self._public: PublicPort | None = None
        self._closed = False
        self._had_one = False

    def send(self, data: bytes, peer: tuple[str | None, int]) -> None:
        """To the outside, by the mapping or, where that is gone, by a new one."""
        public = self._public
        if public is None or not (self._closed or self._nat.alive(public)):
            public = self._renewed()
        public.send(data, peer)

    def lose(self) -> None:
        """The next datagram goes out through another port."""
        public, self._public = self._public, None
        if public is not None:
            public.lost = True
            self._nat.retire(public)

    def close(self) -> None:
        """The socket is gone; the NAT does not know that, and what is on its way still passes."""
        self._closed = True
        self._nat.remove(self)
        if self._public is not None:
            self._nat.retire(self._public)

    def _renewed(self) -> "PublicPort":
        self.lose()
        self._nat.rebound += self._had_one
        self._had_one = True
        self._public = public = self._nat.fresh(self)
        if self._closed:
            self._nat.retire(public)
        return public
