"""A write in progress: FLASH_BEGIN or FLASH_DEFL_BEGIN and the data that follow."""

import zlib

from hil.virtual.esprom.faults import Faults
from hil.virtual.esprom.frames import Refused
from hil.virtual.esprom.nor import BLOCK, SECTOR, Nor, NorError


class Transfer:
    """Bytes that go to `offset` on. `size`: how many are announced, of which no more are taken.

    The stub erases as it goes (`erase_ahead` 0), the ROM all at once at the beginning.
    """

    def __init__(self, nor: Nor, faults: Faults, offset: int, size: int, deflated: bool) -> None:
        self._nor = nor
        self._faults = faults
        self._at = offset
        self._left = size
        self.size = size
        self._inflate = zlib.decompressobj() if deflated else None
        start = offset // SECTOR * SECTOR
        end = (offset + size + SECTOR - 1) // SECTOR * SECTOR if size else start
        if end > nor.size:
            raise Refused(0x08, 0xC4)
        self._erase_at, self._erase_end = start, end

    @property
    def written(self) -> int:
        """Bytes programmed so far."""
        return self.size - self._left

    def erase_all(self) -> int:
        """As the ROM does; microseconds."""
        return self._erase_to(self._erase_end)

    def take(self, data: bytes) -> int:
        """Program a block; microseconds. Refused where it is no deflate stream, or too much."""
        if self._inflate is None:
            # The last block is padded: what is beyond the announced size does not count.
            return self._program(data[: self._left])
        took = 0
        try:
            while True:
                out = self._inflate.decompress(data, BLOCK)
                took += self._program(out)
                data = self._inflate.unconsumed_tail
                if not data and len(out) < BLOCK:
                    return took
        except zlib.error:
            raise Refused(0x0B, 0xC7) from None

    def _program(self, data: bytes) -> int:
        if len(data) > self._left:
            raise Refused(0x0B, 0xC9)
        if not data:
            return 0
        try:
            took = self._erase_to(self._at + len(data))
            took += self._nor.program(self._at, data)
            flip = self._faults.take_flip(self._at, len(data))
            if flip is not None:
                self._nor.flip(flip)
        except NorError:
            raise Refused(0x08, 0xC4) from None
        self._at += len(data)
        self._left -= len(data)
        return took

    def _erase_to(self, end: int) -> int:
        took = 0
        while self._erase_at < min(end, self._erase_end):
            large = self._erase_at % BLOCK == 0 and self._erase_end - self._erase_at >= BLOCK
            step = BLOCK if large else SECTOR
            took += self._nor.erase(self._erase_at, step)
            self._erase_at += step
        return took
