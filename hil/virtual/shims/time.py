"""`time` as on the ESP32: epoch 2000, whole seconds, ticks that wrap at 2^30, in virtual time."""

import _link
import utime
from micropython import const

_MASK = const((1 << 30) - 1)
_HALF = const(1 << 29)
_EPOCH = const(946684800)  # 2000-01-01 in seconds since 1970

rtc_us = 0  # RTC minus board time; `machine.RTC().datetime` sets it


def ticks_ms():
    return _link.since_boot() // 1000 & _MASK


def ticks_us():
    return _link.since_boot() & _MASK


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    if not -_HALF < delta < _HALF:
        raise OverflowError("ticks interval overflow")
    return (ticks + delta) & _MASK


def ticks_diff(ticks1, ticks2):
    return ((ticks1 - ticks2 + _HALF) & _MASK) - _HALF


def sleep_us(us):
    if us > 0:
        _link.sleep_until(_link.now() + us)


def sleep_ms(ms):
    sleep_us(ms * 1000)


def sleep(seconds):
    sleep_us(int(seconds * 1000000))


def time_ns():
    return (_link.now() + rtc_us - _EPOCH * 1000000) * 1000


def time():
    return (_link.now() + rtc_us) // 1000000 - _EPOCH


def gmtime(secs=None):
    return utime.gmtime((time() if secs is None else int(secs)) + _EPOCH)[:8]


localtime = gmtime  # the chip knows no time zones


def mktime(local_time):
    if not 8 <= len(local_time) <= 9:
        raise TypeError("mktime needs a tuple of length 8 or 9 (%d given)" % len(local_time))
    return int(utime.mktime(tuple(local_time[:6]) + (0, 0, 0))) - _EPOCH
