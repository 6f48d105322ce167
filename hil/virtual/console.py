"""What a VM prints: split into lines for a callback, the newest kept for a report."""

import codecs
from collections.abc import Callable

_KEPT = 4096  # characters
_LINE = 2000  # characters; a longer line is handed on in pieces


class Console:
    """`sink` is called with each line, without its end."""

    def __init__(self, sink: Callable[[str], None] | None) -> None:
        self._sink = sink
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line = ""
        self.tail = ""

    def feed(self, data: bytes) -> None:
        """Output of the VM."""
        text = self._decoder.decode(data).replace("\r\n", "\n")
        self.tail = (self.tail + text)[-_KEPT:]
        *lines, self._line = (self._line + text).split("\n")
        if len(self._line) > _LINE:
            lines.append(self._line)
            self._line = ""
        for line in lines:
            self._emit(line)

    def flush(self) -> None:
        """The VM ended: its last line may lack an end."""
        if self._line:
            line, self._line = self._line, ""
            self._emit(line)

    def _emit(self, line: str) -> None:
        if self._sink is not None:
            self._sink(line)
