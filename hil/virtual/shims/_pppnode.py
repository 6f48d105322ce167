"""The node's end of a PPP link: it asks for an address and proves who it is, as lwIP does.

The same file runs on MicroPython and on CPython. RFC 1332, 1877, 1334, 1994.
"""

import hashlib
import os

from hil.virtual.shims import _ppplcp
from hil.virtual.shims._pppfsm import CONFIGURE_MOST, RESTART_MS
from hil.virtual.shims._ppplcp import Ipcp
from hil.virtual.shims._ppplink import Link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hil.virtual.shims._ppplink import Authentication

NONE, BY_PAP, BY_CHAP = 0, 1, 2  # PPP.SEC_NONE and so on
_REQUEST, _ACK, _NAK = 1, 2, 3  # PAP
_CHALLENGE, _RESPONSE, _SUCCESS, _FAILURE = 1, 2, 3, 4  # CHAP


class NodeIpcp(Ipcp):
    """Takes the address and the name servers that the network tells."""

    def __init__(self, link: "Link") -> None:
        super().__init__(link)
        self.wishes = [(kind, bytes(4)) for kind in _ASKED]

    @property
    def servers(self) -> "list[bytes]":
        """Name servers, four bytes each."""
        return [value for kind, value in self.wishes if kind != _ppplcp.ADDRESS and any(value)]

    def on_up(self) -> None:
        """As Automaton's; a network that tells no address has no use."""
        super().on_up()
        if not any(self.mine):
            self._owner.close(_ppplcp.CONNECT)

    def verdict(self, kind: int, value: bytes) -> "bytes | None":
        """As Automaton's: only the network's own address."""
        if kind == _ppplcp.ADDRESS and len(value) == 4 and any(value):
            self.theirs = value
            return value
        return None

    def on_nak(self, kind: int, value: bytes) -> None:
        """As Automaton's: that is how the network tells."""
        if len(value) == 4:
            self.wishes = [(k, value if k == kind else old) for k, old in self.wishes]


_ASKED = (_ppplcp.ADDRESS, _ppplcp.DNS1, _ppplcp.DNS2)


class Proof:
    """Says who the node is: once by PAP, whenever it is asked by CHAP."""

    def __init__(self, link: "NodeLink", by_chap: bool) -> None:
        self._link = link
        self._by_chap = by_chap
        self._left = CONFIGURE_MOST

    def begin(self) -> None:
        """As Authentication's."""
        if self._by_chap:
            self._link.set_timer(self, CONFIGURE_MOST * RESTART_MS)
        else:
            self.timeout()

    def timeout(self) -> None:
        """As Authentication's: PAP is repeated, a challenge waited for."""
        self._left -= 1
        if self._by_chap or self._left < 0:
            self._link.close(_ppplcp.AUTH_FAILED)
            return
        user, key = self._link.user, self._link.key
        self._link.set_timer(self, RESTART_MS)
        data = bytes((len(user),)) + user + bytes((len(key),)) + key
        self._put(_ppplcp.PAP, _REQUEST, 1, data)

    def receive(self, protocol: int, packet: bytes) -> None:
        """As Authentication's."""
        if len(packet) < 4 or self._by_chap != (protocol == _ppplcp.CHAP):
            return
        code, ident = packet[0], packet[1]
        if not self._by_chap:
            if code in (_ACK, _NAK):
                self._told(code == _ACK)
        elif code in (_SUCCESS, _FAILURE):
            self._told(code == _SUCCESS)
        elif code == _CHALLENGE and len(packet) > 5 and 5 + packet[4] <= len(packet):
            value = packet[5 : 5 + packet[4]]
            digest = hashlib.md5(bytes((ident,)) + self._link.key + value).digest()
            self._put(protocol, _RESPONSE, ident, bytes((16,)) + digest + self._link.user)

    def _told(self, good: bool) -> None:
        self._link.set_timer(self, 0)
        if good:
            self._link.authenticated()
        else:
            self._link.close(_ppplcp.AUTH_FAILED)

    def _put(self, protocol: int, code: int, ident: int, data: bytes) -> None:
        # Built as an option's head is not: the length has two octets, and counts all four.
        size = len(data) + 4
        self._link.transmit(protocol, bytes((code, ident, size >> 8, size & 0xFF)) + data)


class NodeLink(Link):
    """`security` is NONE, BY_PAP or BY_CHAP."""

    security = NONE
    user = b""
    key = b""

    def random(self, size: int) -> bytes:
        """As Link's."""
        return os.urandom(size)

    def make_ipcp(self) -> NodeIpcp:
        """As Link's."""
        return NodeIpcp(self)

    def auth_verdict(self, value: bytes) -> "bytes | None":
        """As Link's: one way or none."""
        if self.security == NONE:
            return None
        return _ppplcp.CHAP_OPTION if self.security == BY_CHAP else _ppplcp.PAP_OPTION

    def make_auth(self) -> "Authentication | None":
        """As Link's."""
        if not self.lcp.auth_asked:
            return None
        return Proof(self, self.security == BY_CHAP)
