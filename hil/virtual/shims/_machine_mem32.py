"""`machine.mem32`: RTC slow memory and the registers of the RTC; all else is not there."""

import struct

import _link
import _ops


class _Memory:
    def __getitem__(self, address):
        return struct.unpack("<I", _link.call(_ops.MEM_READ, struct.pack("<I", address)))[0]

    def __setitem__(self, address, value):
        _link.call(_ops.MEM_WRITE, struct.pack("<II", address, value & 0xFFFFFFFF))


mem32 = _Memory()
