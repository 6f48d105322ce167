"""The node's clock: whole seconds since 1970 UTC, kept by the chip's RTC."""

import time

import machine
from micropython import const

_EPOCH_2000 = const(946684800)  # MicroPython's ESP32 port counts from 2000-01-01
FLOOR = const(1577836800)  # 2020-01-01: an RTC behind this was never set


def now() -> int:
    """Seconds since 1970 UTC; before `set` after a cold boot this lies behind FLOOR."""
    return int(time.time()) + _EPOCH_2000


def is_set() -> bool:
    """Whether the RTC has been set since power came on."""
    return now() >= FLOOR


def set(seconds: int) -> None:  # noqa: A001  clock.set() reads as what it does
    """Set the RTC to `seconds` since 1970 UTC."""
    t = time.gmtime(seconds - _EPOCH_2000)
    machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))


def until_ms(seconds: int) -> int:
    """Milliseconds from now to `seconds` since 1970 UTC; negative when that has passed."""
    return (seconds - _EPOCH_2000) * 1000 - time.time_ns() // 1_000_000
