"""What two ends of PPP agree on: configuration options, asked for, refused and improved.

The same file runs on MicroPython and on CPython. RFC 1661, chapters 5 and 6.
"""

CONF_REQ, CONF_ACK, CONF_NAK, CONF_REJ, TERM_REQ, TERM_ACK, CODE_REJ = 1, 2, 3, 4, 5, 6, 7
FAILURE_MOST = 5  # Naks to a peer that does not take the hint (section 4.6)
HINTS_MOST = 10  # Naks of a peer that never has enough


def packed(kind: int, value: bytes) -> bytes:
    """One configuration option (chapter 6)."""
    return bytes((kind, len(value) + 2)) + value


def options(data: bytes) -> "list[tuple[int, bytes]] | None":
    """Type and value of each option; None where the lengths do not add up."""
    found = []
    at = 0
    while at < len(data):
        if at + 2 > len(data) or data[at + 1] < 2 or at + data[at + 1] > len(data):
            return None
        found.append((data[at], data[at + 2 : at + data[at + 1]]))
        at += data[at + 1]
    return found


class Options:
    """`wishes` are the options that this end's next request asks for."""

    def __init__(self) -> None:
        self.wishes: "list[tuple[int, bytes]]" = []
        self._failures = 0  # Naks in a row
        self._hints = 0  # the peer's

    def begin(self) -> None:
        """A negotiation begins."""
        self._failures = self._hints = 0

    def judge(self, asked: "list[tuple[int, bytes]]", data: bytes) -> "tuple[int, bytes]":
        """Code and options of the answer to a request."""
        rejects, naks, naked = b"", b"", b""
        for kind, value in asked:
            better = self.verdict(kind, value)
            if better is None:
                rejects += packed(kind, value)
            elif better != value:
                naks += packed(kind, better)
                naked += packed(kind, value)
        if rejects:
            return CONF_REJ, rejects
        if naks:
            self._failures += 1
            return (CONF_NAK, naks) if self._failures <= FAILURE_MOST else (CONF_REJ, naked)
        self._failures = 0
        return CONF_ACK, data

    def adjust(self, told: "list[tuple[int, bytes]]", hinted: bool) -> None:
        """The peer has sent a Nak, with what it would take (`hinted`), or a Reject."""
        self._hints += 1
        asked = [kind for kind, _ in self.wishes]
        for kind, value in told:
            if kind not in asked:
                continue
            if hinted and self._hints <= HINTS_MOST:
                self.on_nak(kind, value)
            else:
                self.on_reject(kind)

    def verdict(self, kind: int, value: bytes) -> "bytes | None":
        """On an option of the peer's: `value` is taken, another one is what it should ask for,
        None refuses the option."""
        return None

    def on_nak(self, kind: int, value: bytes) -> None:
        """The peer would rather have that value: change `wishes`."""

    def on_reject(self, kind: int) -> None:
        """The peer does not want to hear of that option."""
        self.wishes = [wish for wish in self.wishes if wish[0] != kind]
