"""A runtime of real size comes in blocks of NB-IoT, in this VM's heap.

`micropython -X heapsize=N runtime_whole.py REPOSITORY FOLDER`: it prints `whole` and how many
bytes the file of blocks has.
"""

import hashlib
import os
import sys

import vfs

ROOT, FOLDER = sys.argv[1:3]
sys.path[:] = [ROOT + "/firmware", ".frozen"]
BLOCK = 512
HEAD = 704  # bytes of the envelope: release.seal
IMAGE = 1_400_007


class _Part:
    """The partition, as a file."""

    def info(self):
        return 0, 16, 0, 0x180000, "ota_1", False

    def ioctl(self, _operation, _sector):
        pass

    def writeblocks(self, sector, buf, offset):
        with open("/part", "r+b") as file:
            file.seek(sector * 4096 + offset)
            file.write(buf)

    def readblocks(self, sector, buf, offset=0):
        with open("/part", "rb") as file:
            file.seek(sector * 4096 + offset)
            file.readinto(buf)


class _Slots:
    """Stands for node.update.slots."""

    runtime_part = staticmethod(_Part)


class _Nothing:
    pass


sys.modules["esp32"] = _Nothing()
sys.modules["node.fleetkey"] = _Nothing()
sys.modules["node.update.slots"] = _Slots()
import node  # noqa: E402
from node import update  # noqa: E402

node.fleetkey = sys.modules["node.fleetkey"]  # type: ignore[attr-defined]
update.slots = sys.modules["node.update.slots"]  # type: ignore[attr-defined]
from node.update import job, runtime_part  # noqa: E402
from node.update.pieces import Taker  # noqa: E402
from node.wire import release  # noqa: E402


def piece(index):
    """A block of the stream."""
    data = hashlib.sha256(str(index)).digest() * (BLOCK // 32)
    return data[: HEAD + IMAGE - index * BLOCK]


vfs.umount("/")
vfs.mount(vfs.VfsPosix(FOLDER), "/")
os.mkdir("/update")
with open("/part", "wb") as made:
    for _ in range(0x180):
        made.write(b"\xff" * 4096)
hasher = hashlib.sha256()
for n in range((HEAD + IMAGE + BLOCK - 1) // BLOCK):
    hasher.update(memoryview(piece(n))[max(0, HEAD - n * BLOCK) :])
digest = hasher.digest()
component = release.Component(release.RUNTIME, IMAGE, digest, 1)
held = job.Job(1, release.assign(release.Assignment(
    1, bytes(16), 0, HEAD + IMAGE, [(release.RUNTIME, release.PLAIN, IMAGE, b"")], bytes(16)
)), 3, 0, 0, 0)  # fmt: skip
put = runtime_part.put(held.direct[0], held.direct[1], HEAD + IMAGE)
taker = Taker("/update/blocks", HEAD + IMAGE, held.direct, put)
for n in range((HEAD + IMAGE + BLOCK - 1) // BLOCK):
    taker.take(BLOCK, n, piece(n))
taker.close()
taker = put = None
runtime_part.prepare(held, component, lambda: False)  # Refused where the digest is another
print("whole", os.stat("/update/blocks")[6])
