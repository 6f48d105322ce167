"""A lamp on a board that has a relay and a dimming line: its driver, its supply, its faults."""

from collections.abc import Mapping
from typing import Any

from hil.virtual.bench.stimulus_error import StimulusError, flag, whole
from hil.virtual.board import VirtualBoard
from hil.virtual.sensors.dali import BRIDGE_ADDRESS, Gear, Lw14
from hil.virtual.sensors.lamp import Lamp, Supply

RATED_DW = 1500
MAINS_DV_PER_3V = (
    4000  # the divider at the pin `supply`: 3000 mV at 400 V (hw/nodes/lamppost.toml)
)
DRIVERS = ("pwm", "dali")


class Post:
    """Both drivers are there: `pwm` on the 0-10 V line, `dali` behind a bridge on I2C; the lamp
    hangs on one of them.
    """

    def __init__(self, board: VirtualBoard, pins: Mapping[str, int]) -> None:
        self._board, self._pins = board, pins
        self._driver = "pwm"
        relay = pins["relay"]
        self.gear = Gear(0, lambda: bool(board.pins.level(relay)), lambda: board.now_us)
        self.lamp = Lamp(RATED_DW, self._dimmed, lambda: bool(board.pins.level(relay)))
        self.supply = Supply(self.lamp, board.pins, lambda: board.now_us)
        if "sda" in pins:
            bridge = Lw14([self.gear], lambda: board.now_us)
            board.i2c.add(pins["scl"], pins["sda"], BRIDGE_ADDRESS, bridge)
            board.pins.after_change.append(bridge.supply_changed)
        self.mains(self.lamp.volts_dv)

    def mains(self, volts_dv: int) -> None:
        """What the supply gives from now on, in 0.1 V; the pin that measures it too."""
        self.supply.count()
        self.lamp.volts_dv = volts_dv
        if "supply" in self._pins:
            pin = self._pins["supply"]
            self._board.pins.microvolts[pin] = volts_dv * 3_000_000 // MAINS_DV_PER_3V

    def measured(self, _now_us: int) -> dict[str, int]:
        """What a DL/T 645 meter in the lamp's circuit counts."""
        return {
            "00010000": self.supply.energy_cwh,
            "02010100": self.lamp.volts_dv,
            "02020100": self.lamp.current_ma,
            "02030000": self.lamp.power_dw,
            "02060000": self.lamp.power_factor,
        }

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """`lamp`: an object of what changes; what the lamp does then. StimulusError."""
        change = asked["lamp"]
        if not isinstance(change, dict):
            raise StimulusError("lamp is an object: driver, failed, welded, broken, volts_dv ...")
        driver = change.get("driver", self._driver)
        if driver not in DRIVERS:
            raise StimulusError(f"driver cannot be {driver!r}: {', '.join(DRIVERS)}")
        failed = flag(change, "failed", self.lamp.failed)
        welded = flag(change, "welded", self.lamp.welded)
        broken = flag(change, "broken", self.gear.broken)
        rated_dw = whole(change, "rated_dw", 1, 100_000, self.lamp.rated_dw)
        volts_dv = whole(change, "volts_dv", 0, 10_000, self.lamp.volts_dv)
        self.supply.count()
        self._driver = driver
        self.lamp.failed = self.gear.lamp_failed = failed
        self.lamp.welded, self.gear.broken, self.lamp.rated_dw = welded, broken, rated_dw
        if "volts_dv" in change:
            self.mains(volts_dv)
        lamp = self.lamp
        return {
            "light": lamp.light,
            "power_dw": lamp.power_dw,
            "volts_dv": lamp.volts_dv,
            "energy_cwh": self.supply.energy_cwh,
        }

    def _dimmed(self) -> int:
        if self._driver == "dali":
            return self.gear.permille
        return (self._board.pins.duty(self._pins["dim"]) * 1000 + 32767) // 65535
