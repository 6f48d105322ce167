"""Stand-in for MicroPython's `deflate` where firmware modules are tested on CPython: reading
zlib's frame, with the window that the caller allows.
"""

import zlib
from typing import Any

ZLIB = 2


class DeflateIO:
    """As `deflate.DeflateIO(stream, ZLIB, wbits)`; OSError for what is no such stream."""

    def __init__(self, stream: Any, form: int, wbits: int) -> None:
        assert form == ZLIB
        self._stream = stream
        self._inflate = zlib.decompressobj(wbits)
        self._held = b""

    def readinto(self, buf: Any) -> int:
        if not len(buf):
            return 0
        while not self._inflate.eof:
            try:
                got = self._inflate.decompress(self._held, len(buf))
            except zlib.error as e:
                raise OSError(22, str(e)) from None
            self._held = self._inflate.unconsumed_tail
            if got:
                buf[: len(got)] = got
                return len(got)
            if self._inflate.eof:
                break
            if not self._held:
                chunk = bytearray(64)
                self._held = bytes(chunk[: self._stream.readinto(chunk)])
                if not self._held:
                    raise EOFError
        return 0
