"""`machine.PWM` over the board's channel."""

import struct

import _link
import _ops
from _machine_pin import Pin
from micropython import const

_FULL = const(65536)  # duty of 65535 and 1023 is the whole period (ports/esp32/machine_pwm.c)
_FREQUENCY_MOST = const(40000000)


class PWM:
    def __init__(self, dest, freq=-1, *, duty=-1, duty_u16=-1, duty_ns=-1, invert=False,
                 lightsleep=False):  # fmt: skip
        self._pin = dest if isinstance(dest, Pin) else Pin(dest)
        self._freq = 5000
        self._duty = _FULL // 2
        self.init(freq, duty=duty, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, freq=-1, *, duty=-1, duty_u16=-1, duty_ns=-1, invert=False,
             lightsleep=False):  # fmt: skip
        if freq != -1:
            if not 0 < freq <= _FREQUENCY_MOST:
                raise ValueError("frequency must be from 1Hz to 40MHz")
            self._freq = freq
        if duty_u16 >= 0:
            self._set(duty_u16, 0, "_u16", _FULL)
        elif duty_ns >= 0:
            self._set_ns(duty_ns)
        elif duty >= 0:
            self._set(duty, 6, "", 1023)
        self._freq = self._freq or 5000
        self._send()

    def _set(self, value, shift, name, told):
        most = (_FULL >> shift) - 1
        if not 0 <= value <= most:
            raise ValueError("duty%s must be from 0 to %d" % (name, told))
        self._duty = _FULL if value == most else value << shift

    def _set_ns(self, ns):
        period = (1000000000 + self._freq // 2) // self._freq
        if not 0 <= ns <= period:
            raise ValueError("duty_ns must be from 0 to %d ns" % period)
        self._duty = (ns * _FULL * self._freq + 500000000) // 1000000000 or bool(ns)

    def _send(self):
        duty = min(self._duty, _FULL - 1)
        _link.call(_ops.PWM, struct.pack("<BIH", self._pin._number, self._freq, duty))

    def _active(self):
        if not self._freq:
            raise RuntimeError("PWM is inactive")

    def freq(self, value=None):
        self._active()
        if value is None:
            return self._freq
        return self.init(0 if value == -1 else value)

    def duty(self, value=None):
        self._active()
        if value is None:
            return min(self._duty, _FULL - 1) >> 6
        self._set(value, 6, "", 1023)
        self._send()
        return None

    def duty_u16(self, value=None):
        self._active()
        if value is None:
            return min(self._duty, _FULL - 1)
        self._set(value, 0, "_u16", _FULL)
        self._send()
        return None

    def duty_ns(self, value=None):
        self._active()
        if value is None:
            duty = min(self._duty, _FULL - 1)
            whole = self._freq * _FULL
            return (duty * 1000000000 + whole // 2) // whole
        self._set_ns(value)
        self._send()
        return None

    def deinit(self):
        self._freq = self._duty = 0
        self._send()
