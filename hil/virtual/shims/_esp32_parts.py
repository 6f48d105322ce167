"""What `esp32.Partition` is, over the flash image: the table is the one that lies in it."""

import _link
import _rom
from micropython import const

_BLOCK = const(4096)
_APP = const(0)
_OTA_0 = const(0x10)
_ERASE = const(6)


def _table():
    # Rows of (type, subtype, address, size, label, encrypted).
    return [tuple(row) for row in _link.hello()["partitions"]]


class Partition:
    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id, block_size=_BLOCK):
        if id == self.BOOT:
            id = _rom.module("_esp32_ota").boots(_table())
        elif id == self.RUNNING:
            id = _link.hello()["running"]
        elif isinstance(id, int):
            raise ValueError
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

    def _check(self, at, size):
        # As esp_partition_read and its like; the flash itself would only know an I/O error.
        if at > self._row[3]:
            raise OSError(-258, "ESP_ERR_INVALID_ARG")
        if at + size > self._row[3]:
            raise OSError(-260, "ESP_ERR_INVALID_SIZE")

    def readblocks(self, block_num, buf, offset=0):
        self._check(block_num * _BLOCK + offset, len(buf))
        self._blocks().readblocks(block_num, buf, offset)

    def writeblocks(self, block_num, buf, offset=None):
        self._check(block_num * _BLOCK + (offset or 0), len(buf))
        if offset is None:
            if len(buf) % _BLOCK:  # which only whole sectors can be erased for
                raise OSError(-260, "ESP_ERR_INVALID_SIZE")
            self._blocks().writeblocks(block_num, buf)
        else:
            self._blocks().writeblocks(block_num, buf, offset)

    def ioctl(self, cmd, arg):
        if cmd == _ERASE:
            self._check(arg * _BLOCK, _BLOCK)
        return self._blocks().ioctl(cmd, arg) if 0 < cmd <= _ERASE else None

    def set_boot(self):
        _rom.module("_esp32_ota").set_boot(self, self.find)

    def get_next_update(self):
        slots = sorted([row[1] for row in _table() if row[0] == _APP and _OTA_0 <= row[1] < 0x20])
        if not slots:
            raise OSError(2)
        later = [slot for slot in slots if _OTA_0 <= self._row[1] < slot]
        return self.find(_APP, (later or slots)[0])[0]

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        _rom.module("_esp32_ota").mark_valid()
