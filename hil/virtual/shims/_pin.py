"""`machine.Pin`, `ADC` and `PWM` over the board's channel."""

import struct

import _link
import _ops

chip = {}  # rtc_pins, adc_pins, adc_full_mv: filled by the bootstrap


class Pin:
    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2
    WAKE_LOW = 4
    WAKE_HIGH = 5
    DRIVE_0 = 0
    DRIVE_1 = 1
    DRIVE_2 = 2
    DRIVE_3 = 3

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        number = id._number if isinstance(id, Pin) else id
        if not isinstance(number, int) or not 0 <= number <= 48:
            raise ValueError("invalid pin")
        self._number = number
        self._handler = None
        if mode != -1 or pull != -1 or value is not None or hold is not None:
            self.init(mode, pull, value=value, drive=drive, hold=hold)

    def init(self, mode=-1, pull=-1, *, value=None, drive=None, hold=None):
        if value is not None:
            self.value(value)
        fields = (self._number, mode & 255, (pull or 0) & 255, 255 if hold is None else hold)
        _link.call(_ops.PIN_MODE, bytes(fields))

    def value(self, x=None):
        if x is None:
            return _link.call(_ops.PIN_READ, bytes((self._number,)))[0]
        _link.call(_ops.PIN_WRITE, bytes((self._number, 1 if x else 0)))
        return None

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(1 - self.value())

    def irq(self, handler=None, trigger=3, *, wake=None, hard=False):
        self._handler = handler
        if handler is None:
            trigger = 0
            _link.edges.pop(self._number, None)
        else:
            _link.edges[self._number] = self._edge
        _link.call(_ops.PIN_IRQ, bytes((self._number, trigger)))
        return self

    def _edge(self, flags):
        self._flags = flags
        self._handler(self)

    def flags(self):
        return self._flags

    def __repr__(self):
        return "Pin(%d)" % self._number


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    WIDTH_9BIT = 9
    WIDTH_10BIT = 10
    WIDTH_11BIT = 11
    WIDTH_12BIT = 12

    def __init__(self, pin, *, atten=0):
        self._pin = pin if isinstance(pin, Pin) else Pin(pin)
        if self._pin._number not in chip["adc_pins"]:
            raise ValueError("invalid pin")
        self.init(atten=atten)

    def init(self, *, atten=0):
        self.atten(atten)

    def atten(self, atten):
        if not 0 <= atten <= 3:
            raise ValueError("invalid atten")
        self._full = chip["adc_full_mv"][atten]

    def width(self, bits):
        if bits != 12:
            raise ValueError("invalid bits")

    def read(self):
        raw = _link.call(_ops.ADC_READ, bytes((self._pin._number,)))
        full = self._full * 1000
        code = (struct.unpack("<i", raw)[0] * 4095 + full // 2) // full
        return 0 if code < 0 else 4095 if code > 4095 else code

    def read_u16(self):
        code = self.read()
        return code << 4 | code >> 8

    def read_uv(self):
        return (self.read() * self._full + 2047) // 4095 * 1000  # the calibration knows whole mV


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
