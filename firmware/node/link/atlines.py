"""Cuts what a modem sends into lines, prompts and payloads, however its bytes are chunked.

A payload is taken by the length that its header states and is never looked into, so `OK`, `>` or
`+QIURC` inside one is data. Total and bounded: any bytes give lines, or are dropped and counted.
"""

from micropython import const

_LINE_MOST = const(600)  # bytes; the longest lines known are QENG neighbour lists under 200
_PAYLOAD_MOST = const(2048)  # bytes; push mode hands out at most 1460 (EC200)
_BLANK = b"\r\n \x00"  # line ends, the prompt's space, and what a waking UART may send
_CR = const(13)
_LF = const(10)
_PROMPT = const(62)  # ">"


class AtLines:
    """`on_line(text, payload)` gets each line, `payload` None for most; `on_prompt()` each prompt.

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
        text = _text(rest[at:end]).rstrip()
        for prefix, length, commas in self._rules:
            if not commas and rest[at:end].startswith(prefix):
                n = length(text)
                if n is not None and 0 <= n <= _PAYLOAD_MOST:
                    self._begin(text, n)
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
                    self._begin(text, n)
                    return stop
        return 0

    def _begin(self, header: str, n: int) -> None:
        if n:
            self._header = header
            self._need = n
            self._payload = bytearray(n)
        else:
            self._on_line(header, b"")

    def _take(self, rest: bytes, at: int) -> int:
        if self._swallow_lf:
            self._swallow_lf = False
            if rest[at] == _LF:
                return at + 1
        part = rest[at : at + self._need]
        begin = len(self._payload) - self._need
        self._payload[begin : begin + len(part)] = part
        self._need -= len(part)
        if not self._need:
            header, payload = self._header, self._payload
            self._header = None
            self._payload = bytearray()
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
