"""The automaton of PPP's control protocols (RFC 1661, chapter 4), for both ends of a virtual link.

The same file runs on MicroPython and on CPython. Comments name the standard's events and actions.
"""

from hil.virtual.shims import _pppoptions as packets
from hil.virtual.shims._pppoptions import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hil.virtual.shims._ppplink import Link

INITIAL, STARTING, CLOSED, STOPPED, CLOSING, STOPPING = 0, 1, 2, 3, 4, 5
REQ_SENT, ACK_RCVD, ACK_SENT, OPENED = 6, 7, 8, 9

RESTART_MS = 3000
CONFIGURE_MOST = 10
TERMINATE_MOST = 2


class Automaton(Options):
    """One protocol; it overrides the hooks at the end, and those of Options.

    `linger_ms`: how long it waits behind its answer to the peer's Terminate-Request.
    """

    protocol = 0

    def __init__(self, link: "Link") -> None:
        super().__init__()
        self.state = INITIAL
        self.linger_ms = RESTART_MS
        self._link = link
        self._serial = 0
        self._id = 0  # of the newest request
        self._sent = b""  # the options of the newest request
        self._answered = False  # by the peer: what comes again is a duplicate
        self._left = 0  # restart counter

    # -- administrative events ------------------------------------------------------------------

    def lower_up(self) -> None:
        """Up: packets can go."""
        if self.state == INITIAL:
            self.state = CLOSED
        elif self.state == STARTING:
            self._begin()

    def lower_down(self) -> None:
        """Down: no packet can go any more."""
        was = self.state
        self.state = INITIAL if was in (INITIAL, CLOSED, CLOSING) else STARTING
        self._link.set_timer(self, 0)
        if was == OPENED:
            self.on_down()

    def open(self) -> None:
        """Open: the protocol may come up."""
        if self.state == INITIAL:
            self.state = STARTING
        elif self.state == CLOSED:
            self._begin()
        elif self.state == CLOSING:
            self.state = STOPPING

    def close(self) -> None:
        """Close: `on_finished` follows, at once or when the peer has agreed or is silent."""
        was = self.state
        if was == STARTING:
            self.state = INITIAL
            self.on_finished()
        elif was == STOPPED:
            self.state = CLOSED
        elif was == STOPPING:
            self.state = CLOSING
        elif was >= REQ_SENT:
            self.state = CLOSING
            self._left = TERMINATE_MOST
            self._terminate()
            if was == OPENED:
                self.on_down()

    def timeout(self) -> None:
        """TO: the timer has run down."""
        if self.state < CLOSING or self.state == OPENED:
            return
        if self._left <= 0:
            self._finish()
        elif self.state in (CLOSING, STOPPING):
            self._terminate()
        else:
            if self.state == ACK_RCVD:
                self.state = REQ_SENT
            self._send_request()

    # -- packets --------------------------------------------------------------------------------

    def receive(self, packet: bytes) -> None:
        """A packet of this protocol; total: what is none is dropped."""
        if self.state <= STARTING or len(packet) < 4:
            return
        code, ident, length = packet[0], packet[1], packet[2] << 8 | packet[3]
        if not 4 <= length <= len(packet):
            return
        data = packet[4:length]
        if code == packets.CONF_REQ:
            self._on_request(ident, data)
        elif code in (packets.CONF_ACK, packets.CONF_NAK, packets.CONF_REJ):
            self._on_answer(code, ident, data)
        elif code == packets.TERM_REQ:
            self._on_terminate(ident)
        elif code == packets.TERM_ACK:
            self._on_terminated()
        elif code == packets.CODE_REJ:
            if data and data[0] <= packets.CODE_REJ:
                self.refused()
        elif not self.on_code(code, ident, data):
            self.put(packets.CODE_REJ, self.next_id(), packet[: length - 4])

    def next_id(self) -> int:
        """The number of a packet that begins an exchange."""
        self._serial = (self._serial + 1) & 0xFF
        return self._serial

    def put(self, code: int, ident: int, data: bytes = b"") -> None:
        """Send a packet."""
        size = len(data) + 4
        head = bytes((code, ident, size >> 8, size & 0xFF))
        self._link.transmit(self.protocol, head + data)

    def refused(self) -> None:
        """RXJ-: the peer does not know what this end cannot do without."""
        if self.state == OPENED:
            self.state = STOPPING
            self._left = TERMINATE_MOST
            self._terminate()
            self.on_down()
        elif self.state >= CLOSING:
            self._finish()

    def _on_request(self, ident: int, data: bytes) -> None:
        if self.state == CLOSED:
            self.put(packets.TERM_ACK, ident)
            return
        asked = packets.options(data)
        if asked is None or self.state in (CLOSING, STOPPING):
            return
        code, answer = self.judge(asked, data)
        was = self.state
        if was == OPENED:
            self._renegotiate()
        elif was == STOPPED:
            self._begin()
        self.put(code, ident, answer)
        if code != packets.CONF_ACK:
            if was != ACK_RCVD:
                self.state = REQ_SENT
        elif was == ACK_RCVD:
            self._rise()
        else:
            self.state = ACK_SENT

    def _on_answer(self, code: int, ident: int, data: bytes) -> None:
        if self.state in (CLOSED, STOPPED):
            self.put(packets.TERM_ACK, ident)
            return
        if self.state in (CLOSING, STOPPING) or ident != self._id or self._answered:
            return
        if code == packets.CONF_ACK:
            if data != self._sent:
                return
            self._answered = True
            self._left = CONFIGURE_MOST
            if self.state == ACK_SENT:
                self._rise()
            else:
                self.state = ACK_RCVD
            return
        told = packets.options(data)
        if told is None:
            return
        self._answered = True
        self._left = CONFIGURE_MOST
        self.adjust(told, code == packets.CONF_NAK)
        if self.state in (REQ_SENT, ACK_SENT):  # not where a hook has closed it
            self._request()

    def _on_terminate(self, ident: int) -> None:
        if self.state in (REQ_SENT, ACK_RCVD, ACK_SENT):
            self.state = REQ_SENT
        self.put(packets.TERM_ACK, ident)
        if self.state == OPENED:
            self.state = STOPPING
            self._left = 0
            self._link.set_timer(self, self.linger_ms)
            self.on_down()

    def _on_terminated(self) -> None:
        if self.state in (CLOSING, STOPPING):
            self._finish()
        elif self.state == ACK_RCVD:
            self.state = REQ_SENT
        elif self.state == OPENED:
            self._renegotiate()
            self.state = REQ_SENT

    # -- actions --------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.state = REQ_SENT
        self._left = CONFIGURE_MOST
        self.begin()
        self._request()

    def _request(self) -> None:
        self._id = self.next_id()
        self._sent = b"".join([packets.packed(kind, value) for kind, value in self.wishes])
        self._send_request()

    def _send_request(self) -> None:
        # A repetition keeps its number, so that a late answer still counts.
        self._answered = False
        self._left -= 1
        self._link.set_timer(self, RESTART_MS)
        self.put(packets.CONF_REQ, self._id, self._sent)

    def _terminate(self) -> None:
        self._left -= 1
        self._link.set_timer(self, RESTART_MS)
        self.put(packets.TERM_REQ, self.next_id())

    def _renegotiate(self) -> None:
        self.state = REQ_SENT
        self.on_down()
        self._left = CONFIGURE_MOST
        self._request()

    def _rise(self) -> None:
        self.state = OPENED
        self._link.set_timer(self, 0)
        self.on_up()

    def _finish(self) -> None:
        self.state = CLOSED if self.state == CLOSING else STOPPED
        self._link.set_timer(self, 0)
        self.on_finished()

    # -- for a protocol -------------------------------------------------------------------------

    def on_code(self, code: int, ident: int, data: bytes) -> bool:
        """A code that only this protocol has; whether it knows it."""
        return False

    def on_up(self) -> None:
        """This-Layer-Up."""

    def on_down(self) -> None:
        """This-Layer-Down."""

    def on_finished(self) -> None:
        """This-Layer-Finished."""
