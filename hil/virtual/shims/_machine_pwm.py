"""`machine.PWM` over the board's channel."""

import struct

import _link
import _ops
from _machine_pin import Pin


class PWM:
    def __init__(self, dest, *, freq=5000, duty=None, duty_u16=None, duty_ns=None, invert=False):
        self._pin = dest if isinstance(dest, Pin) else Pin(dest)
        self._freq = freq
        self._duty = 32768
        self.init(freq=freq, duty=duty, duty_u16=duty_u16, duty_ns=duty_ns)

    def init(self, *, freq=None, duty=None, duty_u16=None, duty_ns=None, invert=False):
        if freq is not None:
            self._freq = freq
        if duty is not None:
            self._duty = duty << 6
        if duty_u16 is not None:
            self._duty = duty_u16
        if duty_ns is not None:
            self._duty = duty_ns * self._freq * 65535 // 1000000000
        self._send()

    def _send(self):
        if not 0 <= self._duty <= 65536 or not 0 <= self._freq <= 40000000:
            raise ValueError("PWM value out of range")
        duty = min(self._duty, 65535)
        _link.call(_ops.PWM, struct.pack("<BIH", self._pin._number, self._freq, duty))

    def freq(self, value=None):
        if value is None:
            return self._freq
        return self.init(freq=value)

    def duty(self, value=None):
        if value is None:
            return self._duty >> 6
        return self.init(duty=value)

    def duty_u16(self, value=None):
        if value is None:
            return self._duty
        return self.init(duty_u16=value)

    def duty_ns(self, value=None):
        if value is None:
            return self._duty * 1000000000 // (65535 * self._freq)
        return self.init(duty_ns=value)

    def deinit(self):
        self._freq = self._duty = 0
        self._send()
