"""What of `time` few wakes use."""

import time

import _link
import utime
from micropython import const

_EPOCH = const(946684800)  # 2000-01-01 in seconds since 1970

ticks_cpu = time.ticks_us


def time_ns():
    return (_link.now() + time.rtc_us - _EPOCH * 1000000) * 1000


def gmtime(secs=None):
    return utime.gmtime((time.time() if secs is None else int(secs)) + _EPOCH)[:8]


localtime = gmtime  # the chip knows no time zones


def mktime(local_time):
    if not 8 <= len(local_time) <= 9:
        raise TypeError("mktime needs a tuple of length 8 or 9")
    return int(utime.mktime(tuple(local_time[:6]) + (0, 0, 0))) - _EPOCH
