"""A luminaire dimmed by 0-10 V or PWM: a relay for its supply and a PWM output for its dimming.

The seam of all lamp drivers: `dim` in permille, `set(permille)`, and `look()`, which says how the
lamp is as far as the driver knows. `sense.dali` is the other one.
"""

import machine
from micropython import const

_FREQUENCY = const(1000)  # Hz; the 0-10 V stage behind it smooths from 300 Hz up
WELL, FAILED, SILENT = const(0), const(1), const(2)  # of `look`; SILENT: the driver is not there


class Luminaire:
    """Dim level in permille; 0 opens the relay. A new one is off."""

    def __init__(self, relay: int, dim: int) -> None:
        self._relay = machine.Pin(relay, machine.Pin.OUT, value=0)
        self._pwm = machine.PWM(machine.Pin(dim), freq=_FREQUENCY, duty_u16=0)
        self.dim = 0

    def set(self, permille: int) -> None:
        """Drive the lamp at 0..1000 permille."""
        self.dim = permille
        self._pwm.duty_u16(permille * 65535 // 1000)
        self._relay.value(1 if permille else 0)

    def look(self) -> int:
        """WELL: a 0-10 V line brings no answer back; only the meter tells."""
        return WELL
