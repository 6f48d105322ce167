"""READ_FLASH of the stub: blocks as frames, acknowledged by the host, and an MD5 at the end."""

import hashlib
import struct
from collections.abc import Iterator

from hil.virtual.esprom.frames import Refused
from hil.virtual.esprom.nor import Nor, NorError

LARGEST = 0x4000
WINDOW_MOST = 1 << 19  # bytes on their way


class Reading:
    """`in_flight` blocks may be on their way without an acknowledgement."""

    def __init__(self, nor: Nor, offset: int, length: int, block: int, in_flight: int) -> None:
        if not 0 < block <= LARGEST or not in_flight:
            raise Refused(0x0A, 0xC2)
        try:
            nor.read(offset, 0)
            nor.read(offset + length, 0)
        except NorError:
            raise Refused(0x09, 0xC4) from None
        self._nor = nor
        self._offset = offset
        self._length = length
        self._block = block
        self._window = min(in_flight * block, WINDOW_MOST)
        self._sent = self._acked = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.done = False

    def more(self) -> Iterator[bytes]:
        """The frames that may go now."""
        while self._sent < self._length and self._sent - self._acked < self._window:
            size = min(self._block, self._length - self._sent)
            data = self._nor.read(self._offset + self._sent, size)
            self._md5.update(data)
            self._sent += size
            yield data
        if self._acked >= self._length:
            self.done = True
            yield self._md5.digest()

    def acknowledge(self, frame: bytes) -> bool:
        """Whether the frame is one: how many bytes the host has, no more than were sent."""
        if len(frame) != 4:
            return False
        (total,) = struct.unpack("<I", frame)
        if self._acked <= total <= self._sent:
            self._acked = total
        return True
