"""Cuts what a modem sends into lines, prompts and payloads, however its bytes are chunked.

A payload is taken by the length that its header states and is never looked into, so `OK`, `>` or
`+QIURC` inside one is data. Behind it stands a CR: where anything else does, the UART lost bytes.
Total and bounded: any bytes give lines, or are dropped and counted.
"""

from micropython import const

_LINE_MOST = const(600)  # bytes; the longest lines known are QENG neighbour lists under 200
_PAYLOAD_MOST = const(2048)  # bytes; push mode hands out at most 1460 (EC200)
_BLANK = b"\r\n \x00"  # line ends, the prompt's space, and what a waking UART may send
_CR = const(13)
_LF = const(10)
_PROMPT = const(62)  # ">"
_QUOTE = const(34)


class AtLines:
    """`on_line(text, payload)` gets each line, `payload` None for most; `on_prompt()` each prompt.

    A payload that was not whole gives its header with None, in place of it or right behind it.

    `dropped` counts lines over 600 bytes. A prompt is only seen while `armed`, at a line's start.
    """

    def __init__(self, on_line, on_prompt) -> None:
        self._on_line = on_line
        self._on_prompt = on_prompt
        self._rules = []
        self._rest = b""  # an unfinished line, at most _LINE_MOST bytes
        self._skipping = False  # inside a line that is too long
        self._header = None  # of the payload being read
        self._payload = bytearray()
        self._need = 0  # bytes that the payload still lacks
        self._swallow_lf = False  # the header ended in CR: its LF is not payload
        self._maybe_quoted = False  # the next byte is the first of a payload on the header's line
        self._quoted = False  # it was a quote
        self._told = None  # header of a payload that was handed on, while nothing came behind it
        self.armed = False
        self.dropped = 0

    def payload_rule(self, prefix: str, length, commas: int = 0) -> None:
        """Lines that start with `prefix` carry a payload of `length(line)` bytes (None: none).

        With `commas` the payload stands on the same line, behind that many commas, and `length`
        gets what is before the last of them. Without, it follows the line's end.
        """
        self._rules.append((prefix.encode(), length, commas))

    def abort(self) -> None:
        """Forget what is unfinished; of a payload cut short only the header is handed on."""
        header = self._header
        self._header = None
        self._need = 0
        self._swallow_lf = False
        self._maybe_quoted = self._quoted = False
        self._told = None
        self._skipping = False
        self._rest = b""
        self.armed = False
        if header is not None:
            self._on_line(header, None)

    def feed(self, data) -> None:
        """Take the bytes that came next."""
        rest = self._rest + bytes(data)
        self._rest = b""
        size = len(rest)
        at = 0
        if size and self._told is not None:
            header = self._told
            self._told = None
            if rest[0] != _CR:
                self._on_line(header, None)
        while at < size:
            if self._header is not None:
                at = self._take(rest, at)
            elif self._skipping:
                at = _line_end(rest, at)
                self._skipping = at == size
            elif rest[at] in _BLANK:
                at += 1
            elif self.armed and rest[at] == _PROMPT:
                self.armed = False
                at += 1
                self._on_prompt()
            else:
                after = self._line(rest, at, size)
                if after < 0:
                    self._rest = rest[at:]
                    return
                at = after

    def _line(self, rest: bytes, at: int, size: int) -> int:
        # Where to go on, or -1 when the line is not whole yet.
        end = _line_end(rest, at)
        after = self._inline(rest, at, end)
        if after:
            return after
        if end - at > _LINE_MOST:
            self.dropped += 1
            self._skipping = end == size
            return end
        if end == size:
            return -1
        text = _text(rest[at:end].rstrip())  # of bytes: both interpreters mean the same blanks
        if not text:
            return end + 1
        for prefix, length, commas in self._rules:
            if not commas and rest[at:end].startswith(prefix):
                n = length(text)
                if n is not None and 0 <= n <= _PAYLOAD_MOST:
                    self._begin(text, n, False)
                    self._swallow_lf = n > 0 and rest[end] == _CR
                    return end + 1
        self._on_line(text, None)
        return end + 1

    def _inline(self, rest: bytes, at: int, end: int) -> int:
        # Where the payload on this line begins, 0 when it has none (yet).
        for prefix, length, commas in self._rules:
            if commas and rest[at : at + len(prefix)] == prefix:
                stop = at
                for _ in range(commas):
                    stop = rest.find(b",", stop, end) + 1
                    if not stop:
                        return 0
                text = _text(rest[at : stop - 1])
                n = length(text)
                if n is not None and 0 <= n <= _PAYLOAD_MOST and stop - at <= _LINE_MOST:
                    self._begin(text, n, True)
                    return stop
        return 0

    def _begin(self, header: str, n: int, inline: bool) -> None:
        if n:
            self._header = header
            self._need = n
            self._payload = bytearray(n)
            self._maybe_quoted = inline
        else:
            self._on_line(header, b"")

    def _take(self, rest: bytes, at: int) -> int:
        if self._swallow_lf:
            self._swallow_lf = False
            if rest[at] == _LF:
                return at + 1
        if self._maybe_quoted:
            # Some firmware puts a payload on the header's line in quotes, which the length does
            # not count. Two bytes more tell: a line's end, or the last byte and a quote.
            self._maybe_quoted = False
            if rest[at] == _QUOTE:
                self._payload.extend(b"  ")
                self._need += 2
                self._quoted = True
        part = rest[at : at + self._need]
        begin = len(self._payload) - self._need
        self._payload[begin : begin + len(part)] = part
        self._need -= len(part)
        if not self._need:
            header, payload = self._header, self._payload
            self._header = None
            self._payload = bytearray()
            if self._quoted:
                self._quoted = False
                end = bytes(payload[-2:])
                if end == b"\r\n":
                    payload = payload[:-2]
                else:
                    payload = payload[1:-1] if end[1] == _QUOTE else None
            elif at + len(part) == len(rest):
                self._told = header
            elif rest[at + len(part)] != _CR:
                payload = None
            self._on_line(header, payload)
        return at + len(part)


def _line_end(rest: bytes, at: int) -> int:
    # Index of the next CR or LF, or the end of what is there.
    lf = rest.find(b"\n", at)
    if lf < 0:
        lf = len(rest)
    cr = rest.find(b"\r", at, lf)
    return lf if cr < 0 else cr


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeError:
        # Line noise. MicroPython's decode knows no "replace".
        return bytes([b if b < 128 else 63 for b in raw]).decode()
