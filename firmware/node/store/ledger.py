"""The journal's one small file: what is receipted, what was dropped, where numbering goes on.

It is replaced as a whole, by a rename that littlefs makes atomic: the commit point of a change.
"""

import os
import struct

from micropython import const

from node.errors import JournalError
from node.store.segment import checksum

_FORMAT = "<4sIIIIIIIIBIII"  # magic; the fields of Ledger in their order; the CRC-32 follows
_MAGIC = b"KJ2\n"
_SIZE = struct.calcsize(_FORMAT)
_NOBODY = const(0xFF)
_DRAWS = const(8)


class Ledger:
    """The fields, and their file `path`/ledger."""

    def __init__(self, path: str) -> None:
        self._path = path + "/ledger"
        self.epoch = 0  # 1..2^32-1
        self.base = 0  # every record up to this sequence is receipted
        self.next = 1  # no sequence below this is ever given again
        self.depth = 0  # unreceipted records among those below `next`
        self.dropped = [0, 0, 0]  # records given up, by priority
        self.corrupt = 0  # unreceipted records that were damaged
        # While archived records are sent again: all up to `until` had their receipts, and those
        # from `skip` on need no other. 0: there are none.
        self.skip = self.until = 0
        self.victim = None  # (priority, first): a segment counted as dropped, to be deleted

    def load(self) -> bool:
        """Read the file; False when there is none, or none that is whole."""
        try:
            with open(self._path, "rb") as file:
                raw = file.read(_SIZE + 5)
        except OSError:
            return False
        if len(raw) != _SIZE + 4 or raw[:4] != _MAGIC:
            return False
        if checksum(raw[:_SIZE], 0) != struct.unpack_from("<I", raw, _SIZE)[0]:
            return False
        fields = struct.unpack_from(_FORMAT, raw)
        self.epoch, self.base, self.next, self.depth = fields[1:5]
        self.dropped[:] = fields[5:8]
        self.corrupt, priority, first = fields[8:11]
        self.skip, self.until = fields[11:]
        self.victim = None if priority == _NOBODY else (priority, first)
        return True

    def save(self) -> None:
        """Replace the file; OSError when the flash cannot take it, and the old one stays."""
        priority, first = self.victim or (_NOBODY, 0)
        numbers = (self.epoch, self.base, self.next, self.depth)
        numbers += tuple(self.dropped) + (self.corrupt, priority, first, self.skip, self.until)
        raw = struct.pack(_FORMAT, _MAGIC, *numbers)
        with open(self._path + ".new", "wb") as file:
            file.write(raw + struct.pack("<I", checksum(raw, 0)))
        os.rename(self._path + ".new", self._path)


def draw(source) -> int:
    """A new epoch, 1..2^32-1, from `source()` or the chip's random numbers."""
    for _ in range(_DRAWS):
        epoch = (source() if source else int.from_bytes(os.urandom(4), "big")) & 0xFFFFFFFF
        if epoch:
            return epoch
    raise JournalError("the source of random epochs gives zeros only")
