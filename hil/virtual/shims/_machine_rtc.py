"""`machine.RTC`: the board keeps its offset and its memory."""

import struct
import time

import _link
import _ops
import utime
from micropython import const

_MEMORY = const(2048)  # bytes of RTC memory, MICROPY_HW_RTC_USER_MEM_MAX
_EPOCH = const(946684800)


class RTC:
    def __init__(self):
        pass

    def datetime(self, datetimetuple=None):
        if datetimetuple is None:
            at = _link.now() + time.rtc_us
            t = utime.gmtime(at // 1000000)
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], at % 1000000)
        if len(datetimetuple) != 8:
            raise ValueError("requested length 8 but object has length %d" % len(datetimetuple))
        year, month, day, _weekday, hour, minute, second, us = datetimetuple
        at = time.mktime((year, month, day, hour, minute, second, 0, 0)) + _EPOCH
        time.rtc_us = at * 1000000 + us - _link.now()
        _link.call(_ops.RTC_SET, struct.pack("<q", time.rtc_us))
        return None

    def init(self, datetimetuple):
        # Unlike datetime it takes no weekday: the hour stands fourth (ports/esp32/machine_rtc.c).
        t = datetimetuple
        self.datetime((t[0], t[1], t[2], 0, t[3], t[4], t[5], t[7]))

    def memory(self, data=None):
        if data is None:
            return _link.call(_ops.MEMORY_GET)
        if len(data) > _MEMORY:
            raise ValueError("buffer too long")
        _link.call(_ops.MEMORY_SET, bytes(data))
        return None
