"""`esp32.PCNT`: the board counts the stimulus' edges while this VM runs."""

import struct

import _link
import _ops


class PCNT:
    IGNORE = 0
    INCREMENT = 1
    DECREMENT = 2
    NORMAL = 0
    REVERSE = 1
    HOLD = 2
    IRQ_THRESHOLD1 = 4
    IRQ_THRESHOLD0 = 8
    IRQ_MIN = 16
    IRQ_MAX = 32
    IRQ_ZERO = 64

    def __init__(self, id, *, channel=0, pin=None, rising=0, falling=0, filter=None, value=None):
        if not 0 <= id < 4:
            raise ValueError("invalid id")
        self._unit = id
        self.init(
            channel=channel, pin=pin, rising=rising, falling=falling, filter=filter, value=value
        )

    def init(self, *, channel=0, pin=None, rising=0, falling=0, filter=None, value=None):
        if channel != 0:
            raise ValueError("channel")
        if filter is not None and not 0 <= filter <= 1023:  # cycles of 80 MHz
            raise ValueError("filter")
        if pin is not None:
            fields = (self._unit, pin._number, rising, falling)
            _link.call(_ops.PCNT_INIT, bytes(fields))
        if value is not None:
            self.value(value)

    def deinit(self):
        self.stop()

    def start(self):
        _link.call(_ops.PCNT_RUN, bytes((self._unit, 1)))

    def stop(self):
        _link.call(_ops.PCNT_RUN, bytes((self._unit, 0)))

    def value(self, value=None):
        if value not in (None, 0):
            raise ValueError("value")
        raw = _link.call(_ops.PCNT_VALUE, bytes((self._unit, value is not None)))
        return struct.unpack("<i", raw)[0]
