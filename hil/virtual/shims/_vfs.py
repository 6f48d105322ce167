"""`vfs` of the virtual board: the VM's own, and the memory-mapped partition for a ROMFS.

The operations are those of MicroPython's extmod/vfs_rom_ioctl: 1 count, 2 segment, 3 erase,
4 write, 5 done.
"""

import _link
from vfs import VfsLfs2, VfsRom, mount, umount  # noqa: F401

segment = None  # bytes of the partition, mapped into memory; None: the table has none
where = (0, 0)  # its offset and size
_BLOCK = 4096
_EINVAL = -22
_ENOSYS = -38


def rom_ioctl(op, *args):
    if op == 1:
        return 0 if segment is None else 1
    if segment is None or not args or args[0] != 0:
        return _EINVAL
    if op == 2:
        return memoryview(segment)
    if op == 5:
        return 0
    flash = _link.flash.part(*where)
    if op == 3:
        for block in range((args[1] + _BLOCK - 1) // _BLOCK):
            flash.ioctl(6, block)
        return 16  # bytes: writes are multiples of it
    if op == 4:
        flash.writeblocks(0, args[2], args[1])
        return 0
    return _ENOSYS
