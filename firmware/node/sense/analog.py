"""An analogue sensor on the ADC: microvolts to the integer unit of its quantity."""

import machine
from micropython import const

_SAMPLES = const(8)  # the chip's ADC is noisy: the mean of a few conversions


class AnalogInput:
    """A linear sensor between two calibration points, e.g. 4-20 mA over 150 ohm: 0.6-3.0 V."""

    def __init__(self, pin: int, low_uv: int, high_uv: int, full_scale: int) -> None:
        self._adc = machine.ADC(machine.Pin(pin), atten=machine.ADC.ATTN_11DB)
        self._low_uv = low_uv
        self._span_uv = high_uv - low_uv
        self._full_scale = full_scale

    def microvolts(self) -> int:
        """Mean of a few conversions."""
        total = 0
        for _ in range(_SAMPLES):
            total += self._adc.read_uv()
        return total // _SAMPLES

    def measure(self) -> "tuple[int, bool]":
        """`read`, and whether the signal is one at all: of 4-20 mA that is 3.6 to 20.5 mA, below
        which the wire is broken and above which the sensor cannot follow (NAMUR NE 43).
        """
        uv = self.microvolts()
        off = uv - self._low_uv
        return self._scaled(uv), -self._span_uv <= 40 * off and 32 * off <= 33 * self._span_uv

    def read(self) -> int:
        """The sensor's value, 0 at the low point and `full_scale` at the high one, rounded."""
        return self._scaled(self.microvolts())

    def _scaled(self, uv: int) -> int:
        numerator = (uv - self._low_uv) * self._full_scale
        return (2 * numerator + self._span_uv) // (2 * self._span_uv)
