"""The chip of the power-cut campaign (cuts.py): flash in memory, NVS, resets, and over it the
virtual chip's own esp32.Partition. `sys.argv` has what cuts_rig.py gives.
"""
# ruff: noqa: E402, RUF012, SIM105

import json
import sys
import time

import uctypes
import vfs

ADDRESS, MEMORY, ROOT, WORLD = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
PLAN = json.loads(sys.argv[5])
sys.path[:] = [ROOT + "/tests/vm", ".frozen", ROOT + "/firmware", ROOT + "/hil/virtual/shims"]

from flashdev import BLOCK, FlashDevice

AREA = 850 * BLOCK
# The flash, and room for copies of it.
MEM, *AREAS = (uctypes.bytearray_at(at, AREA) for at in range(ADDRESS, ADDRESS + MEMORY, AREA))
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
ROWS = []  # of the partition table
AT = {}  # (offset, size) by label


class PowerCut(BaseException):
    """The CPU stops here."""


class Restart(BaseException):
    """A reset or a deep sleep."""

    def __init__(self, cause):
        self.cause = cause


class Brick(BaseException):
    """What must never be: the text says what."""


def cut():
    raise PowerCut


class Flash(FlashDevice):
    """As FlashDevice, on memory."""

    def __init__(self, offset, size, on_cut):
        FlashDevice.__init__(self, None, offset, size, on_cut)

    def part(self, offset, size):
        other = Flash(offset, size, self._on_cut)
        other._chip = self._chip
        return other

    def readblocks(self, block, buf, offset=0):
        at = self._offset + block * BLOCK + offset
        buf[:] = MEM[at : at + len(buf)]

    def _blank(self, block, size):
        at = self._offset + block * BLOCK
        MEM[at : at + size] = ERASED[:size]

    def _program(self, block, offset, buf):
        at = self._offset + block * BLOCK + offset
        size = len(buf)
        old = MEM[at : at + size]
        if old != ERASED[:size]:
            both = int.from_bytes(old, "big") & int.from_bytes(bytes(buf), "big")
            buf = both.to_bytes(size, "big")
        MEM[at : at + size] = buf

    def status(self, do):
        """A write of NVS: atomic, and an operation like the others."""
        chip = self._chip
        if self._cut():
            if chip.cut_mode != "clean":
                do()
            self._die()
        if not chip.dead:
            do()
            chip.programs += 1


ERASED = memoryview(b"\xff" * BLOCK)


class Link:
    """Stands for the shims' `_link`."""

    flash = None
    running = "ota_0"

    def hello(self):
        return {"partitions": ROWS, "running": self.running}


link = Link()


class Rom:
    """Stands for the shims' `_rom`."""

    def module(self, name):
        return __import__(name)


class Nvs:
    """`esp32.NVS`: kept by a commit."""

    kept = {}

    def __init__(self, space):
        self._pending = {}

    def _get(self, key):
        value = self._pending[key] if key in self._pending else Nvs.kept.get(key)
        if value is None:
            raise OSError(-0x1102)
        return value

    def get_i32(self, key):
        return self._get(key)

    def get_blob(self, key, buf):
        value = self._get(key)
        buf[: len(value)] = value
        return len(value)

    def set_i32(self, key, value):
        self._pending[key] = value

    def set_blob(self, key, value):
        self._pending[key] = bytes(value)

    def erase_key(self, key):
        self._get(key)
        self._pending[key] = None

    def commit(self):
        def do():
            for key, value in self._pending.items():
                if value is None:
                    Nvs.kept.pop(key, None)
                else:
                    Nvs.kept[key] = value

        link.flash.status(do)
        self._pending = {}


class Machine:
    """`machine`, as far as the supervisor goes."""

    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
    cause = PWRON

    def WDT(self, timeout):
        return None

    def reset_cause(self):
        return self.cause

    def reset(self):
        raise Restart(HARD)

    def deepsleep(self, ms=0):
        raise Restart(DEEPSLEEP)


class Esp32:
    NVS = Nvs


machine = Machine()
esp32 = Esp32()
# Before the flash stands at `/`: what is wanted later must be here by then.
sys.modules["_link"] = link
sys.modules["_rom"] = Rom()
sys.modules["machine"] = machine
sys.modules["esp32"] = esp32
import _esp32_ota as ota  # noqa: F401  for who imports this
import _vfs
from _esp32_parts import Partition

esp32.Partition = Partition
sys.modules["vfs"] = _vfs
if PLAN["readsize"] != 32:  # littlefs reads and writes in larger pieces: fewer of them

    class Lfs:
        def __new__(cls, device, **more):
            return vfs.VfsLfs2(device, progsize=32, readsize=PLAN["readsize"], lookahead=32)

        @staticmethod
        def mkfs(device, **more):
            vfs.VfsLfs2.mkfs(device, progsize=32, readsize=PLAN["readsize"], lookahead=32)

    _vfs.VfsLfs2 = Lfs

with open(WORLD + "/world.json") as file:
    FACTS = json.load(file)
TIME = FACTS["time"]
sys.modules["time"] = type(
    "Time", (), {name: getattr(time, name) for name in ("ticks_ms", "ticks_diff", "ticks_add")}
)
sys.modules["time"].time = lambda: TIME - 946684800


def _lay_out():
    end = 0
    for label, kind, subtype in (
        ("otadata", 1, 0), ("ota_0", 0, 0x10), ("ota_1", 0, 0x11), ("romfs", 1, 0x8F),
        ("rescue", 1, 0x83), ("vfs", 1, 0x81),
    ):  # fmt: skip
        size = PLAN["layout"][label] * BLOCK
        ROWS.append([kind, subtype, end, size, label, False])
        AT[label] = (end, size)
        end += size
    return end


SIZE = _lay_out()
assert AREA >= SIZE
_vfs.where = AT["romfs"]
_vfs.segment = uctypes.bytearray_at(ADDRESS + AT["romfs"][0], AT["romfs"][1])


def mounted(label, readonly=False):
    device = link.flash.part(*AT[label])
    files = _vfs.VfsLfs2(device, progsize=32, readsize=32, lookahead=32)
    vfs.mount(files, "/", readonly=readonly)


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def region(label, data):
    at = AT[label][0]
    MEM[at : at + len(data)] = data


def blank(label):
    at, size = AT[label]
    for block in range(at, at + size, BLOCK):
        MEM[block : block + BLOCK] = ERASED


def unmount():
    """Nothing stands anywhere."""
    for where in ("/", "/rom", "/rescue", "/vfs"):
        try:
            vfs.umount(where)
        except OSError:
            pass


def fresh():
    """The chip has power again."""
    unmount()
    if link.flash is not None:
        link.flash.dead = True  # files that are still open are finalised late
    link.flash = Flash(0, SIZE, cut)
