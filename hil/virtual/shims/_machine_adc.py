"""`machine.ADC`: the board's voltages, quantised as by the chip."""

import struct

import _link
import _ops
from _machine_pin import Pin


class ADC:
    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3

    WIDTH_12BIT = 12

    def __init__(self, pin, *, atten=3):
        self._pin = pin if isinstance(pin, Pin) else Pin(pin)
        chip = _link.hello()["chip"]
        if self._pin._number not in chip["adc_pins"]:
            raise ValueError("invalid pin")
        self._full_mv = chip["adc_full_mv"]
        self.init(atten=atten)

    def init(self, *, atten=3):
        self.atten(atten)

    def deinit(self):
        return None

    def atten(self, atten):
        if not 0 <= atten <= 3:
            raise ValueError("invalid attenuation")
        self._atten = atten
        self._full = self._full_mv[atten]

    def __repr__(self):
        return "ADC(%r, atten=%d)" % (self._pin, self._atten)

    def width(self, bits):
        if bits != 12:
            raise ValueError("invalid bit-width")

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
