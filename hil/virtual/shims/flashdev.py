"""NOR flash in a file, as a block device of MicroPython, that loses its power on command.

Programming only clears bits, erasing sets a block of 4096 bytes to ones, and a cut may fall into
the middle of either. Runs on the VM.
"""

BLOCK = 4096
MODES = ("clean", "half-page", "half-erase")

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

    @property
    def operations(self):
        """Programs and erases since the device was made; one that was cut is not counted."""
        return self.programs + self.erases

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
            half = len(buf) // 2 if self.cut_mode == "half-page" else 0
            self._die(block, offset, buf[:half])
        if not self.dead:
            self._program(block, offset, buf)
            self.programs += 1

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
            half = BLOCK // 2 if self.cut_mode == "half-erase" else 0
            self._die(block, 0, half and b"\xff" * half, True)
        if not self.dead:
            self._seek(block, 0, BLOCK)
            self._file.write(b"\xff" * BLOCK)
            self._file.flush()
            self.erases += 1

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
        return not self.dead and self.cut_after is not None and self.operations >= self.cut_after

    def _die(self, block, offset, part, erased=False):
        if part and erased:
            self._seek(block, offset, len(part))
            self._file.write(part)
            self._file.flush()
        elif part:
            self._program(block, offset, part)
        self.dead = True
        self._on_cut()
        raise OSError(_EIO)
