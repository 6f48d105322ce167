"""`machine.WDT`: its deadline is the board's, in virtual time."""

import struct

import _link
import _ops


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _link.call(_ops.WDT_START, struct.pack("<I", timeout))

    def feed(self):
        _link.call(_ops.WDT_FEED)
