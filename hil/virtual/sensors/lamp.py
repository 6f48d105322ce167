"""A street lamp and its driver: what it takes from the mains as relay and dimming command it.

An LED driver's curve: a part of its losses is there as soon as it is on, and its power factor
falls when it is dimmed. Power is in tenths of a watt, energy is counted exactly over virtual time.
"""

from collections.abc import Callable

from hil.virtual.pins import Pins

STANDBY_DW = 5  # on, dimmed to nothing
_LOSSES = 60  # permille of the rated power that do not go down with the light
MAINS_DV = 2200  # 0.1 V


class Lamp:
    """`dim` tells the permille that it is driven at; 0 while it has no supply.

    The world sets `failed` (its LEDs take nothing), `welded` (its relay no longer opens) and
    `volts_dv` (the mains, 0.1 V).
    """

    def __init__(
        self, rated_dw: int, dim: Callable[[], int], supplied: Callable[[], bool]
    ) -> None:
        self.rated_dw = rated_dw
        self.failed = False
        self.welded = False
        self.volts_dv = MAINS_DV
        self._dim = dim
        self._supplied = supplied

    @property
    def light(self) -> int:
        """Permille of its light."""
        if self.failed or not self.volts_dv:
            return 0
        if self._supplied():
            return self._dim()
        return 1000 if self.welded else 0  # an open 0-10 V line is full light

    @property
    def power_dw(self) -> int:
        """Active power, 0.1 W."""
        if not self.volts_dv or not (self._supplied() or self.welded):
            return 0
        light = self.light
        if not light:
            return STANDBY_DW
        return self.rated_dw * (_LOSSES * 1000 + (1000 - _LOSSES) * light) // 1_000_000

    @property
    def power_factor(self) -> int:
        """In thousandths; 1000 while nothing flows."""
        if not self.power_dw:
            return 1000
        return 450 + 530 * min(self.light, 600) // 600

    @property
    def current_ma(self) -> int:
        """Apparent power over voltage."""
        if not self.power_dw:
            return 0
        return self.power_dw * 1_000_000 // (self.volts_dv * self.power_factor)


class Supply:
    """Counts what a lamp takes: `energy_dj`, tenths of a joule. `now`: us of virtual time."""

    def __init__(self, lamp: Lamp, pins: Pins, now: Callable[[], int]) -> None:
        self.lamp = lamp
        self._now = now
        self._since_us = now()
        self._taken = 0  # 0.1 W times us
        pins.before_change.append(self.count)

    def count(self) -> None:
        """Up to now, at the power as it is. Called before anything about the lamp changes."""
        now = self._now()
        self._taken += self.lamp.power_dw * (now - self._since_us)
        self._since_us = now

    @property
    def energy_dj(self) -> int:
        """Since the meter was made."""
        self.count()
        return self._taken // 1_000_000

    @property
    def energy_cwh(self) -> int:
        """The same in hundredths of a kilowatt-hour, as a meter shows it."""
        return self.energy_dj // 360_000


def dimmed_by_pwm(rated_dw: int, pins: Pins, relay: int, dim: int) -> Lamp:
    """A lamp behind a relay, with a 0-10 V line."""
    return Lamp(
        rated_dw,
        lambda: (pins.duty(dim) * 1000 + 32767) // 65535,
        lambda: bool(pins.level(relay)),
    )
