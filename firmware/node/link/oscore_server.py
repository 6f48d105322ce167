"""OSCORE (RFC 8613), the server's side: for tests. A node is a client only and never loads it."""

from micropython import const

from node.errors import OscoreError
from node.link import ccm, oscore

_SIZE = const(32)  # numbers below the highest that may still come, the highest included (7.4)


class Window:
    """Which of the peer's sequence numbers were seen; what fell out of it counts as seen."""

    def __init__(self) -> None:
        self._next = 0  # above all that were seen
        self._seen = 0  # bit n: _next - 1 - n was seen

    def fresh(self, number: int) -> bool:
        """Whether `number` may still be taken."""
        age = self._next - 1 - number
        return age < 0 or (age < _SIZE and not self._seen >> age & 1)

    def strike(self, number: int) -> None:
        """`number` was seen; OscoreError when it is not fresh."""
        if not self.fresh(number):
            raise OscoreError("replay: number %d was seen or is too old" % number)
        ahead = number + 1 - self._next
        if ahead > 0:
            self._seen = (self._seen << ahead if ahead < _SIZE else 0) & (1 << _SIZE) - 1
            self._next = number + 1
        self._seen |= 1 << self._next - 1 - number


class Server(oscore.Context):
    """A context whose peer makes the requests; `window` is its replay window."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.window = Window()
        self._unanswered = []  # requests whose nonce no answer has used

    def open_request(self, option: bytes, cipher: bytes) -> "tuple[tuple[bytes, bytes], bytes]":
        """What seal_response() takes, and the plaintext; OscoreError for all that is no fresh
        request of this context (8.2).
        """
        piv, kid = self._addressed(option)
        if piv is None or kid is None:
            raise OscoreError("a request without Partial IV or kid")
        number = int.from_bytes(piv, "big")
        if not self.window.fresh(number):
            raise OscoreError("replay: number %d was seen or is too old" % number)
        request = (kid, piv)
        plain = self._opened(self.nonce(request), request, cipher)
        self.window.strike(number)
        self._unanswered = self._unanswered[1 - _SIZE :] + [request]
        return request, plain

    def seal_response(
        self, request: "tuple[bytes, bytes]", plain: bytes, own: bool = False
    ) -> "tuple[bytes, bytes]":
        """Value of the OSCORE option and payload of an answer (8.3).

        It has the request's nonce, once for each request, or with `own` a Partial IV of its own.
        """
        option = b""
        origin = request
        if own:
            piv = self._piv()
            option = bytes((len(piv),)) + piv
            origin = (self.sender, piv)
        elif request not in self._unanswered:
            raise OscoreError("the request's nonce was used")
        else:
            self._unanswered.remove(request)
        nonce = self.nonce(origin)
        return option, ccm.seal(self.sender_key, nonce, oscore.aad(request), plain)
