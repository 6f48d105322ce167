"""What hangs on a virtual board's pins, as the board is made for it: valve, battery, sensors."""

from collections.abc import Mapping

from hil.virtual.board import VirtualBoard
from hil.virtual.motor_valve import PINS, MotorValve
from hil.virtual.sensors.lis2dh12 import ADDRESS, Lis2dh12

_FULL_MV = 6000  # what the battery's divider turns into 3 V (schema/gas_meter.py: battery_full_mv)
_CLEAN_AIR_UV = 400_000  # of the gas sensor at 0 (gas_low_uv)
NEW_MV = 3600  # of a lithium thionyl chloride cell


class Fittings:
    """`valve` and `accelerometer` are None where the board has no pins for one."""

    def __init__(self, board: VirtualBoard, pins: Mapping[str, int]) -> None:
        self._board = board
        self._pins = pins
        self.valve = MotorValve(board, pins) if all(name in pins for name in PINS) else None
        self.accelerometer: Lis2dh12 | None = None
        if "sda" in pins:
            self.accelerometer = Lis2dh12(self._shock)
            board.i2c.add(pins["scl"], pins["sda"], ADDRESS, self.accelerometer)
        if "battery" in pins:
            self.battery(NEW_MV)
        if "gas" in pins:
            board.pins.microvolts[pins["gas"]] = _CLEAN_AIR_UV

    def battery(self, millivolts: int) -> None:
        """What the cell gives from now on."""
        self._board.pins.microvolts[self._pins["battery"]] = millivolts * 3_000_000 // _FULL_MV

    def gas(self, permille: int) -> None:
        """Gas about the meter, in permille of the lower explosive limit; it calls at 50."""
        pins = self._board.pins
        pins.microvolts[self._pins["gas"]] = _CLEAN_AIR_UV + permille * 1600
        if "gas_call" in self._pins:
            self._drive("gas_call", int(permille >= 50))

    def cover(self, up: bool) -> None:
        """The cover is taken off, or put on."""
        self._drive("cover", int(up))

    def _shock(self, level: int) -> None:
        if "shock" in self._pins:
            self._drive("shock", level)

    def _drive(self, name: str, level: int) -> None:
        self._board.pins.drive(self._pins[name], level)
