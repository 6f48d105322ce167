"""What of `machine` hardly any firmware uses."""

import struct

import _link
import _ops
import machine

_frequency = 160000000


def soft_reset():
    machine._restart(machine.SOFT_RESET)


def lightsleep(time_ms=None):
    time_ms = 0 if time_ms is None else time_ms or 1
    _link.call(_ops.SLEEP, struct.pack("<Bq", 0, time_ms))


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
