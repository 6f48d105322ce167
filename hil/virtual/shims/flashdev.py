"""NOR flash in a file, as a block device of MicroPython, that loses its power on command.

Programming only clears bits, erasing sets a block of 4096 bytes to ones, and a cut may fall into
the middle of either. Runs on the VM.
"""

import struct

BLOCK = 4096
MODES = ("clean", "half-page", "half-erase")
_PIECE = b"\xff" * 64  # what is erased at a time: a chip's flash takes no heap for it

_COUNT, _SIZE, _ERASE = 4, 5, 6  # MP_BLOCKDEV_IOCTL_*
_EIO = 5


class FlashDevice:
    """`size` bytes from `offset` of `fileobj`, which has seek, readinto, write and flush.

    When `operations` has reached `cut_after` (None: never), the next operation is cut:
    "clean" leaves it undone; "half-page" lets a program write the first half of its bytes;
    "half-erase" lets an erase clear the first half of the block. Where a mode does not fit the
    operation, nothing of it is done. Then `on_cut()` is called, which does not return or raises,
    and nothing that the VM still does, finalisers included, changes the flash.
    """

    def __init__(self, fileobj, offset, size, on_cut, cut_after=None, cut_mode="clean"):
        if size % BLOCK or cut_mode not in MODES:
            raise ValueError("size is no multiple of %d, or unknown mode" % BLOCK)
        self._file = fileobj
        self._offset = offset
        self._blocks = size // BLOCK
        self._on_cut = on_cut
        self.cut_after = cut_after
        self.cut_mode = cut_mode
        self.dead = False
        self.programs = 0
        self.erases = 0
        self._chip = self  # which counts, and has the power

    @property
    def operations(self):
        """Programs and erases since the device was made; one that was cut is not counted."""
        return self.programs + self.erases

    def counters(self):
        """Programs and erases, packed for the board."""
        return struct.pack("<II", self.programs, self.erases)

    def arm(self, operations, mode):
        """Cut the power after so many more operations; `mode` is an index of MODES."""
        self.cut_after = self.operations + operations
        self.cut_mode = MODES[mode]

    def part(self, offset, size):
        """Another part of the same flash; its operations count here."""
        other = FlashDevice(self._file, offset, size, self._on_cut)
        other._chip = self._chip
        return other

    def readblocks(self, block, buf, offset=0):
        """Fill `buf` from `offset` of `block`."""
        self._seek(block, offset, len(buf))
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        """Program `buf`; without `offset` the blocks it covers are erased first."""
        if offset is None:
            offset = 0
            for number in range(block, block + (len(buf) + BLOCK - 1) // BLOCK):
                self._erase(number)
        if self._cut():
            if self._chip.cut_mode == "half-page":
                self._program(block, offset, buf[: len(buf) // 2])
            self._die()
        if not self._chip.dead:
            self._program(block, offset, buf)
            self._chip.programs += 1

    def ioctl(self, op, arg):
        """Block count, block size and erase; other operations have nothing to do."""
        if op == _COUNT:
            return self._blocks
        if op == _SIZE:
            return BLOCK
        if op == _ERASE:
            self._erase(arg)
        return 0

    def _erase(self, block):
        if self._cut():
            if self._chip.cut_mode == "half-erase":
                self._blank(block, BLOCK // 2)
            self._die()
        if not self._chip.dead:
            self._blank(block, BLOCK)
            self._chip.erases += 1

    def _blank(self, block, size):
        self._seek(block, 0, size)
        for _ in range(size // len(_PIECE)):
            self._file.write(_PIECE)
        self._file.flush()

    def _program(self, block, offset, buf):
        size = len(buf)
        old = bytearray(size)
        self.readblocks(block, old, offset)
        if old != b"\xff" * size:
            both = int.from_bytes(old, "big") & int.from_bytes(bytes(buf), "big")
            buf = both.to_bytes(size, "big")
        self._seek(block, offset, size)
        self._file.write(buf)
        self._file.flush()

    def _seek(self, block, offset, size):
        at = block * BLOCK + offset
        if block < 0 or offset < 0 or at + size > self._blocks * BLOCK:
            raise OSError(_EIO)
        self._file.seek(self._offset + at)

    def _cut(self):
        chip = self._chip
        return not chip.dead and chip.cut_after is not None and chip.operations >= chip.cut_after

    def _die(self):
        self._chip.dead = True
        self._on_cut()
        raise OSError(_EIO)
