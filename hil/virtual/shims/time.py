"""`time` as on the ESP32: epoch 2000, whole seconds, ticks that wrap at 2^30, in virtual time."""

import _link
import _rom
from micropython import const

_LAZY = const(0)
if _LAZY:  # for who reads: the VM takes them by __getattr__
    from _time_more import gmtime, localtime, mktime, ticks_cpu, time_ns  # noqa: F401

_MASK = const((1 << 30) - 1)
_HALF = const(1 << 29)
_EPOCH = const(946684800)  # 2000-01-01 in seconds since 1970

rtc_us = 0  # RTC minus board time; `machine.RTC().datetime` sets it


def __getattr__(name):
    return _rom.load("time", name)


def ticks_ms():
    return _link.since_boot() // 1000 & _MASK


def ticks_us():
    return _link.since_boot() & _MASK


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


def time():
    return (_link.now() + rtc_us) // 1000000 - _EPOCH
