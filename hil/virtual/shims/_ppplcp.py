"""LCP and IPCP (RFC 1661, 1662, 1332, 1877): what they ask of the peer, and grant it.

The same file runs on MicroPython and on CPython.
"""

from hil.virtual.shims import _hdlc, _pppfsm
from hil.virtual.shims._pppfsm import Automaton

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hil.virtual.shims._ppplink import Link

IP, LCP, PAP, CHAP, IPCP = 0x0021, 0xC021, 0xC023, 0xC223, 0x8021
PAP_OPTION, CHAP_OPTION = b"\xc0\x23", b"\xc2\x23\x05"  # RFC 1334; RFC 1994 with MD5
MAX_UNIT, CHARACTERS, AUTH, MAGIC, SHORT_PROTOCOL, SHORT_HEAD = 1, 2, 3, 5, 7, 8
PROTO_REJ, ECHO_REQ, ECHO_REP, DISCARD = 8, 9, 10, 11
ADDRESS, DNS1, DNS2 = 3, 129, 131  # RFC 1332, RFC 1877
_UNIT_LEAST = 68  # octets that every IPv4 link carries (RFC 791)
_ECHOES_MOST = 4  # of this end's own requests; below FAILURE_MOST

USER, CONNECT, AUTH_FAILED, LOOPED = 5, 6, 7, 12  # why it ended: lwIP's PPPERR numbers


class Lcp(Automaton):
    """The link's own protocol. `auth_asked` is the option by which the peer wants a proof."""

    protocol = LCP

    def __init__(self, link: "Link") -> None:
        super().__init__(link)
        self.auth_asked = b""
        self.echoes = 0  # answers that came
        self._owner = link
        self._own_voice = 0
        self.wishes = [
            (CHARACTERS, bytes(4)),
            (MAGIC, link.random(4)),
            (SHORT_PROTOCOL, b""),
            (SHORT_HEAD, b""),
        ]

    @property
    def magic(self) -> bytes:
        """This end's number; zeros where the peer refused the option."""
        for kind, value in self.wishes:
            if kind == MAGIC:
                return value
        return bytes(4)

    def wish(self, kind: int, value: bytes) -> None:
        """Ask for this value from now on."""
        self.on_reject(kind)
        self.wishes = self.wishes + [(kind, value)]

    def echo(self) -> None:
        """Ask the peer whether it is there; `echoes` counts its answers."""
        self.put(ECHO_REQ, self.next_id(), self.magic)

    def verdict(self, kind: int, value: bytes) -> "bytes | None":
        """As Automaton's: RFC 1661, chapter 6, and RFC 1662, 7.1."""
        if kind == MAX_UNIT and len(value) == 2:
            enough = value[0] << 8 | value[1] >= _UNIT_LEAST
            return value if enough else bytes((_hdlc.MRU >> 8, _hdlc.MRU & 0xFF))
        if kind == AUTH:
            self.auth_asked = self._owner.auth_verdict(value) or b""
            return self.auth_asked or None
        if kind == MAGIC and len(value) == 4:
            if value != self.magic:
                return value
            # This end's own voice, from a line that is looped back.
            self._own_voice += 1
            return self._owner.random(4)
        if kind == CHARACTERS and len(value) == 4:
            return value
        return value if kind in (SHORT_PROTOCOL, SHORT_HEAD) and not value else None

    def judge(self, asked: "list[tuple[int, bytes]]", data: bytes) -> "tuple[int, bytes]":
        """As Automaton's."""
        self.auth_asked = b""
        return super().judge(asked, data)

    def on_nak(self, kind: int, value: bytes) -> None:
        """As Automaton's."""
        if kind == MAGIC and self._own_voice > _ECHOES_MOST:
            self._owner.close(LOOPED)
        elif kind == MAGIC:
            self.wish(MAGIC, self._owner.random(4))
        elif kind == AUTH and value in (PAP_OPTION, CHAP_OPTION):
            self.wish(AUTH, value)
        elif kind == AUTH:
            self.on_reject(AUTH)
        elif kind == CHARACTERS and len(value) == 4:
            self.wish(CHARACTERS, value)

    def on_code(self, code: int, ident: int, data: bytes) -> bool:
        """Echoes, and what the peer cannot understand; only an open link has them."""
        if code not in (PROTO_REJ, ECHO_REQ, ECHO_REP, DISCARD):
            return False
        if self.state == _pppfsm.OPENED:
            if code == ECHO_REQ and len(data) >= 4:
                self.put(ECHO_REP, ident, self.magic + data[4:])
            elif code == ECHO_REP:
                self.echoes += 1
            elif code == PROTO_REJ and len(data) >= 2:
                self._owner.protocol_refused(data[0] << 8 | data[1])
        return True

    def on_up(self) -> None:
        """As Automaton's."""
        self._owner.lcp_up()

    def on_down(self) -> None:
        """As Automaton's."""
        self._owner.lcp_down()

    def on_finished(self) -> None:
        """As Automaton's."""
        self._owner.lcp_finished()


class Ipcp(Automaton):
    """IPv4. `mine` and `theirs` are the addresses of both ends, four bytes each."""

    protocol = IPCP

    def __init__(self, link: "Link") -> None:
        super().__init__(link)
        self.mine = bytes(4)
        self.theirs = bytes(4)
        self._owner = link

    def on_up(self) -> None:
        """As Automaton's."""
        for kind, value in self.wishes:
            if kind == ADDRESS:
                self.mine = value
        self._owner.on_up()

    def on_down(self) -> None:
        """As Automaton's."""
        self._owner.on_down()

    def on_finished(self) -> None:
        """As Automaton's: without IP there is no use for the link."""
        self._owner.close(CONNECT)
