"""`machine` of the virtual board; its signatures are those of the ESP32 port."""

import struct

import _link
import _ops
import _rom
from micropython import const

_LAZY = const(0)
if _LAZY:  # for who reads: the VM takes them by __getattr__
    from _machine_adc import ADC  # noqa: F401
    from _machine_i2c import I2C  # noqa: F401
    from _machine_mem32 import mem32  # noqa: F401
    from _machine_more import (  # noqa: F401  # noqa: F401
        disable_irq,
        enable_irq,
        freq,
        idle,
        lightsleep,
        soft_reset,
        unique_id,
    )
    from _machine_pin import Pin  # noqa: F401
    from _machine_pwm import PWM  # noqa: F401
    from _machine_rtc import RTC  # noqa: F401
    from _machine_uart import UART  # noqa: F401
    from _machine_wdt import WDT  # noqa: F401

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
EXT0_WAKE = 2
EXT1_WAKE = 3
TIMER_WAKE = 4
ULP_WAKE = 6

_booted = (0, 0, b"")  # reset cause, wake reason, MAC: set by the bootstrap


def __getattr__(name):
    return _rom.load("machine", name)


def _counters():
    """Tell the board what was done to the flash since this boot."""
    if _link.flash:
        _link.call(_ops.COUNTERS, _link.flash.counters())


def _restart(cause):
    _counters()
    _link.call(_ops.RESET, bytes((cause, _link.raw)))
    _link.halt()


def reset():
    _restart(HARD_RESET)


def deepsleep(time_ms=None):
    _counters()
    # A timer of nothing ends the sleep at once; only without one is there none.
    time_ms = 0 if time_ms is None else time_ms or 1
    _link.call(_ops.SLEEP, struct.pack("<Bq", 1, time_ms))
    _link.halt()


def reset_cause():
    return _booted[0]


def wake_reason():
    return _booted[1]


def unique_id():
    return _booted[2]
