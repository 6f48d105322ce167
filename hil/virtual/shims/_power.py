"""`machine`'s clock, watchdog, sleep and reset over the board's channel."""

import struct
import time

import _link
import _ops
import utime

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
PIN_WAKE = 2
EXT0_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
TOUCHPAD_WAKE = 5
ULP_WAKE = 6

_MEMORY = 2048  # bytes of RTC memory, MICROPY_HW_RTC_USER_MEM_MAX
_EPOCH = 946684800
boot = {}  # cause, wake, mac: filled by the bootstrap
_frequency = 160000000


class RTC:
    def __init__(self, id=0):
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
        self.datetime(datetimetuple)

    def memory(self, data=None):
        if data is None:
            return _link.call(_ops.MEMORY_GET)
        if len(data) > _MEMORY:
            raise ValueError("buffer too long")
        _link.call(_ops.MEMORY_SET, bytes(data))
        return None


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) does not exist" % id)
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        _link.call(_ops.WDT_START, struct.pack("<I", timeout))

    def feed(self):
        _link.call(_ops.WDT_FEED)


def counters():
    """Tell the board what was done to the flash since this boot."""
    flash = _link.flash
    if flash:
        _link.call(_ops.COUNTERS, struct.pack("<II", flash.programs, flash.erases))


def _restart(cause):
    counters()
    _link.call(_ops.RESET, bytes((cause,)))
    _link.halt()


def reset():
    _restart(HARD_RESET)


def soft_reset():
    _restart(SOFT_RESET)


def deepsleep(time_ms=0):
    counters()
    _link.call(_ops.SLEEP, struct.pack("<Bq", 1, time_ms))
    _link.halt()


def lightsleep(time_ms=0):
    _link.call(_ops.SLEEP, struct.pack("<Bq", 0, time_ms))


def reset_cause():
    return boot["cause"]


def wake_reason():
    return boot["wake"]


def unique_id():
    return boot["mac"]


def freq(hz=None):
    global _frequency  # noqa: PLW0603
    if hz is None:
        return _frequency
    if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _frequency = hz
    return None


def idle():
    _link.sleep_until(_link.now() + 1000)


def disable_irq():
    return 0


def enable_irq(state=0):
    return None
