"""The network's end of a PPP link, as a module plays it: it tells addresses, and believes anybody.

RFC 1661, 1332, 1877; for authentication RFC 1334 and 1994.
"""

import ipaddress
import random
from collections.abc import Callable

from hil.virtual.shims import _ppplcp
from hil.virtual.shims._pppfsm import CONFIGURE_MOST, RESTART_MS
from hil.virtual.shims._ppplcp import ADDRESS, CHAP_OPTION, DNS1, DNS2, Ipcp
from hil.virtual.shims._ppplink import Link

GATEWAY = "10.64.64.64"  # what modules without a real peer give as theirs
SERVERS = ("192.0.2.53", "192.0.2.54")  # of a documentation network: the board's DNS is no packet
LINGER_MS = 100  # between the answer to a Terminate-Request and NO CARRIER
PAP_REQUEST, PAP_ACK = 1, 2
CHALLENGE, RESPONSE, SUCCESS = 1, 2, 3
CHALLENGE_SIZE = 16


def octets(address: str) -> bytes:
    """The four bytes of an IPv4 address."""
    return ipaddress.IPv4Address(address).packed


class NetworkIpcp(Ipcp):
    """Gives the terminal its address and its name servers."""

    def __init__(self, link: "NetworkLink") -> None:
        super().__init__(link)
        self.wishes = [(ADDRESS, octets(GATEWAY))]
        self._given = {
            ADDRESS: octets(link.address),
            DNS1: octets(SERVERS[0]),
            DNS2: octets(SERVERS[1]),
        }

    def verdict(self, kind: int, value: bytes) -> bytes | None:
        """As Automaton's: there is one right value for each of these."""
        return self._given.get(kind) if len(value) == 4 else None

    def on_nak(self, kind: int, value: bytes) -> None:
        """As Automaton's: a terminal has no say in the network's own address."""


class Belief:
    """Takes whatever the terminal says of itself: the module has nothing to compare it with."""

    def __init__(self, link: "NetworkLink", by_chap: bool) -> None:
        self._link = link
        self._by_chap = by_chap
        self._left = CONFIGURE_MOST
        self._believed = False

    def begin(self) -> None:
        """As Authentication's."""
        if self._by_chap:
            self.timeout()
        else:
            self._link.set_timer(self, CONFIGURE_MOST * RESTART_MS)

    def timeout(self) -> None:
        """As Authentication's: a challenge is repeated, a request waited for."""
        self._left -= 1
        if not self._by_chap or self._left < 0:
            self._link.close(_ppplcp.AUTH_FAILED)
            return
        self._link.set_timer(self, RESTART_MS)
        value = bytes((CHALLENGE_SIZE,)) + self._link.random(CHALLENGE_SIZE)
        self._put(_ppplcp.CHAP, CHALLENGE, CONFIGURE_MOST - self._left, value + b"modem")

    def receive(self, protocol: int, packet: bytes) -> None:
        """As Authentication's; what is repeated is answered again."""
        wanted = _ppplcp.CHAP if self._by_chap else _ppplcp.PAP
        if protocol != wanted or len(packet) < 4:
            return
        if self._by_chap and packet[0] == RESPONSE:
            self._put(protocol, SUCCESS, packet[1], b"")
        elif not self._by_chap and packet[0] == PAP_REQUEST:
            self._put(protocol, PAP_ACK, packet[1], b"\0")
        else:
            return
        self._link.set_timer(self, 0)
        if not self._believed:
            self._believed = True
            self._link.authenticated()

    def _put(self, protocol: int, code: int, ident: int, data: bytes) -> None:
        size = len(data) + 4
        self._link.transmit(protocol, bytes((code, ident, size >> 8, size & 0xFF)) + data)


class NetworkLink(Link):
    """`address` is the terminal's. It would like PAP, takes CHAP, and goes on with neither."""

    def __init__(
        self,
        address: str,
        rng: random.Random,
        write: Callable[[bytes], None],
        timer: Callable[[int], None],
        up: Callable[[bool], None],
        ended: Callable[[], None],
    ) -> None:
        self.address = address
        self._rng = rng
        self._up = up
        self._ended = ended
        super().__init__(write, timer)
        self.lcp.linger_ms = LINGER_MS
        self.lcp.wish(_ppplcp.AUTH, _ppplcp.PAP_OPTION)

    def random(self, size: int) -> bytes:
        """As Link's."""
        return self._rng.randbytes(size)

    def make_ipcp(self) -> Ipcp:
        """As Link's."""
        return NetworkIpcp(self)

    def make_auth(self) -> Belief | None:
        """As Link's."""
        wishes = dict(self.lcp.wishes)
        if _ppplcp.AUTH not in wishes:
            return None
        return Belief(self, wishes[_ppplcp.AUTH] == CHAP_OPTION)

    def on_up(self) -> None:
        """As Link's."""
        self._up(True)

    def on_down(self) -> None:
        """As Link's."""
        self._up(False)

    def on_end(self, why: int) -> None:
        """As Link's."""
        self._ended()
