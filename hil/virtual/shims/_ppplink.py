"""One end of a PPP link: LCP, authentication, and a network protocol on top, over HDLC's frames.

The same file runs on MicroPython and on CPython. RFC 1661 for the phases, RFC 1332 for IPCP.
"""

from hil.virtual.shims import _hdlc, _pppfsm, _ppplcp
from hil.virtual.shims._ppplcp import Ipcp, Lcp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from hil.virtual.shims._pppfsm import Automaton

    class Authentication(Protocol):
        """Who proves to the other end who it is, or has it prove it."""

        def begin(self) -> None: ...

        def receive(self, protocol: int, packet: bytes) -> None: ...

        def timeout(self) -> None: ...


class Link:
    """`write` puts bytes on the line, `timer(ms)` has `expired` called once, 0: not any more.

    A subclass gives the hooks at the end; `ipcp` is its IPCP. `packets` counts IP packets.
    """

    def __init__(self, write: "Callable[[bytes], None]", timer: "Callable[[int], None]") -> None:
        self.lcp = Lcp(self)
        self.ipcp = self.make_ipcp()
        self.packets = 0
        self._write = write
        self._timer = timer
        self._timed: "Automaton | Authentication | None" = None
        self._auth: "Authentication | None" = None
        self._why = _ppplcp.CONNECT
        self._deframer = _hdlc.Deframer(self._on_frame)

    def start(self) -> None:
        """Begin to negotiate."""
        self.lcp.open()
        self.ipcp.open()
        self.lcp.lower_up()

    def feed(self, data: bytes) -> None:
        """Bytes from the line; total."""
        self._deframer.feed(data)

    def close(self, why: int = _ppplcp.USER) -> None:
        """Tell the peer; `on_end(why)` follows."""
        if self._why != _ppplcp.USER:  # whose wish it was first
            self._why = why
        self.lcp.close()

    @property
    def closing(self) -> bool:
        """Whether it waits for the peer's word on its end."""
        return self.lcp.state in (_pppfsm.CLOSING, _pppfsm.STOPPING)

    def expired(self) -> None:
        """The timer has run down."""
        who, self._timed = self._timed, None
        if who is not None:
            who.timeout()

    @property
    def bad(self) -> int:
        """Frames that were none."""
        return self._deframer.bad

    # -- for the protocols ----------------------------------------------------------------------

    def transmit(self, protocol: int, packet: bytes) -> None:
        """Put a packet on the line."""
        self._write(_hdlc.frame(protocol, packet))

    def set_timer(self, who: "Automaton | Authentication", ms: int) -> None:
        """Have `who.timeout()` called in `ms`, 0: no more. Only one at a time ever waits."""
        if ms:
            self._timed = who
        elif self._timed is who:
            self._timed = None
        else:
            return
        self._timer(ms)

    def lcp_up(self) -> None:
        """Next comes authentication, if there is one, and then the network."""
        for kind, value in self.lcp.wishes:
            if kind == _ppplcp.CHARACTERS:
                self._deframer.accm = int.from_bytes(value, "big")
        self._auth = self.make_auth()
        if self._auth is None:
            self.authenticated()
        else:
            self._auth.begin()

    def lcp_down(self) -> None:
        """Nothing but LCP any more."""
        self._auth = None
        self._deframer.accm = 0xFFFFFFFF
        self.ipcp.lower_down()

    def lcp_finished(self) -> None:
        """The link is at its end."""
        self.on_end(self._why)

    def authenticated(self) -> None:
        """Both ends know whom they talk to."""
        if self.ipcp.state == _pppfsm.STARTING:
            self.ipcp.lower_up()

    def protocol_refused(self, protocol: int) -> None:
        """The peer does not know it."""
        if protocol == _ppplcp.IPCP:
            self.ipcp.refused()
        elif protocol == _ppplcp.LCP:
            self.lcp.refused()

    def _on_frame(self, protocol: int, payload: bytes) -> None:
        if protocol == _ppplcp.LCP:
            self.lcp.receive(payload)
        elif self.lcp.state != _pppfsm.OPENED:
            pass  # only LCP may come before (RFC 1661, 3.4)
        elif protocol == _ppplcp.IPCP:
            self.ipcp.receive(payload)
        elif protocol in (_ppplcp.PAP, _ppplcp.CHAP) and self._auth is not None:
            self._auth.receive(protocol, payload)
        elif protocol == _ppplcp.IP:
            self.packets += self.ipcp.state == _pppfsm.OPENED
        else:
            head = bytes((protocol >> 8, protocol & 0xFF))
            self.lcp.put(_ppplcp.PROTO_REJ, self.lcp.next_id(), head + payload[: _hdlc.MRU - 6])

    # -- for an end -----------------------------------------------------------------------------

    def random(self, size: int) -> bytes:
        """Bytes that the other end does not have."""
        raise NotImplementedError

    def make_ipcp(self) -> Ipcp:
        """IPCP as this end plays it."""
        raise NotImplementedError

    def make_auth(self) -> "Authentication | None":
        """What is between LCP and the network; None: nothing."""
        return None

    def auth_verdict(self, value: bytes) -> "bytes | None":
        """On a proof that the peer wants, as Automaton.verdict."""
        return None

    def on_up(self) -> None:
        """IP goes both ways."""

    def on_down(self) -> None:
        """IP does not go any more."""

    def on_end(self, why: int) -> None:
        """The link is closed: why, as lwIP numbers it."""
