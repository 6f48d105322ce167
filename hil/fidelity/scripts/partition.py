"""`esp32.Partition` on a table with otadata; the last block of `vfs` must be free to use."""

from esp32 import Partition

vfs = Partition.find(Partition.TYPE_DATA, label="vfs")[0]
count = vfs.ioctl(4, 0)
last = count - 1
block = bytearray(4096)


def written(data, *offset):
    vfs.writeblocks(last, data, *offset)
    vfs.readblocks(last, block)
    return bytes(block[:2])


def kinds(row):
    return [type(each).__name__ for each in row]


fact("partition.constants", lambda: (Partition.BOOT, Partition.RUNNING, Partition.TYPE_APP,
     Partition.TYPE_DATA))  # fmt: skip
fact("partition.no-label", lambda: Partition("nowhere"))
fact("partition.no-number", lambda: Partition(2))
fact("partition.info", lambda: kinds(Partition(Partition.RUNNING).info()))
fact("partition.running-is-app", lambda: Partition(Partition.RUNNING).info()[0])
fact("partition.boot-is-running", lambda: (Partition(Partition.BOOT).info()
     == Partition(Partition.RUNNING).info()))  # fmt: skip
fact("partition.find-apps", lambda: sorted({part.info()[0] for part in Partition.find()}))
fact("partition.find-none", lambda: Partition.find(label="nowhere"))
fact("partition.block-size", lambda: vfs.ioctl(5, 0))
fact("partition.count", lambda: count * 4096 == vfs.info()[3])
fact("partition.ioctl-nothing", lambda: [vfs.ioctl(op, 0) for op in (1, 2, 3)])
fact("partition.ioctl-unknown", lambda: vfs.ioctl(99, 0))
fact("partition.read-over-end", lambda: vfs.readblocks(last, bytearray(4097)))
fact("partition.read-behind-end", lambda: vfs.readblocks(count + 1, bytearray(1)))
fact("partition.write-over-end", lambda: vfs.writeblocks(last, b"x", 4096))
fact("partition.erase-beyond", lambda: vfs.ioctl(6, count))
fact("partition.write-part", lambda: vfs.writeblocks(last, b"x"))
fact("partition.erase", lambda: vfs.ioctl(6, last))
fact("partition.erased", lambda: written(b"", 0))
fact("partition.program", lambda: written(b"\x0f", 0))
fact("partition.only-clears", lambda: written(b"\xf0", 0))
fact("partition.write-erases", lambda: written(b"\xf0" * 4096))
fact("partition.small-blocks", lambda: Partition("vfs", 512).ioctl(5, 0))
fact("partition.no-image", lambda: vfs.set_boot())
fact("partition.next", lambda: Partition(Partition.RUNNING).get_next_update().info()[0])
fact("partition.names", lambda: missing(Partition, "find info readblocks writeblocks ioctl "
     "set_boot mark_app_valid_cancel_rollback get_next_update"))  # fmt: skip
