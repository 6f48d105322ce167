"""What `esp32.Partition` is, over the flash image: the table is the one that lies in it."""

import _link
import _rom
from micropython import const

_BLOCK = const(4096)
_APP = const(0)
_OTA_0 = const(0x10)


def _table():
    # Rows of (type, subtype, address, size, label, encrypted).
    return [tuple(row) for row in _link.hello()["partitions"]]


class Partition:
    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id, block_size=_BLOCK):
        if not isinstance(id, str):
            id = _link.hello()["running"]
        for row in _table():
            if row[4] == id:
                self._row = row
                break
        else:
            raise OSError(2)
        if block_size != _BLOCK:
            raise ValueError("block size is 4096")
        self._device = None

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=_BLOCK):
        return [
            Partition(row[4], block_size)
            for row in _table()
            if row[0] == type and subtype in (0xFF, row[1]) and label in (None, row[4])
        ]

    def info(self):
        return self._row

    def _blocks(self):
        if self._device is None:
            self._device = _link.flash.part(self._row[2], self._row[3])
        return self._device

    def readblocks(self, block_num, buf, offset=0):
        self._blocks().readblocks(block_num, buf, offset)

    def writeblocks(self, block_num, buf, offset=None):
        if offset is None:
            self._blocks().writeblocks(block_num, buf)
        else:
            self._blocks().writeblocks(block_num, buf, offset)

    def ioctl(self, cmd, arg):
        return self._blocks().ioctl(cmd, arg)

    def set_boot(self):
        _rom.module("_esp32_ota").set_boot(self, self.find)

    def get_next_update(self):
        subtypes = [row[1] for row in _table() if row[0] == _APP and row[1] >= _OTA_0]
        if len(subtypes) < 2:
            raise OSError(2)
        other = subtypes[(subtypes.index(self._row[1]) + 1) % len(subtypes)]
        return self.find(_APP, other)[0]

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        _rom.module("_esp32_ota").mark_valid()
