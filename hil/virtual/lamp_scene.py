"""A lamppost's surroundings: a lamp that its driver dims, a DL/T 645 meter in the lamp's circuit,
an environment station on the same line, and mains that wander around 220 V.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet.flashing.hardware import load_board
from hil.virtual.board import VirtualBoard
from hil.virtual.rs485 import meters
from hil.virtual.rs485.device import Faults
from hil.virtual.rs485.line import BusTwin
from hil.virtual.scenes import FULL_SCALE_MV, LAMP_PERIOD, SECOND, Scene
from hil.virtual.sensors.dali import BRIDGE_ADDRESS, Gear, Lw14
from hil.virtual.sensors.lamp import Lamp, Supply, dimmed_by_pwm
from hil.virtual.stimulus import Change, Do
from hil.virtual.sun import elevation

BOARD = "esp32-ec200"
LATITUDE, LONGITUDE = 23.13, 113.26  # Guangzhou
UTC_OFFSET_S = 28_800
PLAN = ["dusk", 1000, "23:00", 500, "05:00", 1000, "dawn", 0]
RATED_DW = 1500
METER, STATION = "000000000416", "1"  # addresses
AIR = 1  # number of the sub-device
OWN_READINGS, AIR_READINGS = 12, 5  # of a slot
LEAKAGE_UV_PER_MA = 10_000  # 300 mA at 3 V


@dataclass
class Street(Scene):
    """The scene of one lamppost. What stands on it is there once the board is: `lamp`, and `gear`
    where it is dimmed by DALI. `switched` has (us, permille) of each change of light.
    """

    lamp: Lamp | None = None
    supply: Supply | None = None
    gear: Gear | None = None
    board_: VirtualBoard | None = None
    switched: list[tuple[int, int]] = field(default_factory=list)

    def attach(self, board: VirtualBoard, pins: Mapping[str, int]) -> None:
        """Hang it all on the board."""
        self.board_ = board

        def supplied() -> bool:
            return bool(board.pins.level(pins["relay"]))

        if self.config.get("lamp_driver") == "dali":
            gear = Gear(0, supplied, lambda: board.now_us)
            bridge = Lw14([gear], lambda: board.now_us)
            board.i2c.add(pins["scl"], pins["sda"], BRIDGE_ADDRESS, bridge)
            board.pins.after_change.append(bridge.supply_changed)
            self.lamp, self.gear = Lamp(RATED_DW, lambda: gear.permille, supplied), gear
        else:
            self.lamp = dimmed_by_pwm(RATED_DW, board.pins, pins["relay"], pins["dim"])
        self.supply = Supply(self.lamp, board.pins, lambda: board.now_us)
        board.pins.after_change.append(self._looked)

    def leak(self, milliamperes: int) -> None:
        """So much flows from the post into the ground."""
        assert self.board_ is not None  # noqa: S101  `attach` comes first
        pin = load_board(self.board).pins["leakage"]
        self.board_.pins.microvolts[pin] = milliamperes * LEAKAGE_UV_PER_MA

    def measured(self, _now_us: int) -> dict[str, int]:
        """What the DL/T 645 meter counts."""
        if self.lamp is None or self.supply is None:
            return {}
        return {
            "00010000": self.supply.energy_cwh,
            "02010100": self.lamp.volts_dv,
            "02020100": self.lamp.current_ma,
            "02030000": self.lamp.power_dw,
            "02060000": self.lamp.power_factor,
        }

    def tale(self) -> list[str]:
        """A line for each time that the lamp went on or off: where the sun stood then."""
        told, before = [], 0
        for at, light in self.switched:
            if bool(light) != bool(before):
                local = datetime.fromtimestamp(at // SECOND, UTC) + timedelta(seconds=UTC_OFFSET_S)
                stands = elevation(at, LATITUDE, LONGITUDE)
                side = "above" if stands > 0 else "below"
                told.append(
                    f"{self.role}: {'on' if light else 'off'} at {local:%m-%d %H:%M:%S}, "
                    f"the sun {abs(stands):.2f} degrees {side} the horizon"
                )
            before = light
        return told

    def _looked(self) -> None:
        # PWM and relay change one after the other: what counts is what is left of an instant.
        assert self.lamp is not None  # noqa: S101
        assert self.board_ is not None  # noqa: S101
        now, light = self.board_.now_us, self.lamp.light
        if self.switched and now - self.switched[-1][0] < SECOND:
            self.switched[-1] = (now, light)
        elif light != (self.switched[-1][1] if self.switched else 0):
            self.switched.append((now, light))


def air(now_us: int) -> dict[str, int]:
    """The station's registers (hw/profiles/air.toml): warm and loud at noon, damp at night."""
    hour = (now_us // SECOND + UTC_OFFSET_S) // 3600 % 24
    day = 12 - abs(hour - 13)
    return {"3:500": 850 - 15 * day, "3:501": 220 + 8 * day, "3:502": 480 + 12 * day,
            "3:503": 20 + day, "3:504": 45 + day}  # fmt: skip


def lamppost(start_us: int, seed: int, driver: str = "pwm") -> Street:
    """A lamp that follows twilight in Guangzhou; a record of itself and one of the station for
    each quarter of an hour.
    """
    chance = random.Random(seed)
    pin = load_board(BOARD).pins["supply"]
    config = {
        "sample_s": LAMP_PERIOD // SECOND,
        "watch_s": 300,
        "report_s": 7200,
        "report_records": 16,
        "full_scale": FULL_SCALE_MV,
        "low_uv": 0,
        "high_uv": 3_000_000,
        "latitude_udeg": round(LATITUDE * 1_000_000),
        "longitude_udeg": round(LONGITUDE * 1_000_000),
        "utc_offset_s": UTC_OFFSET_S,
        "lamp_plan": PLAN,
        "lamp_dw": RATED_DW,
        "meter": ["dlt645", METER],
        "devices": [[AIR, "air", STATION]],
    }
    if driver == "dali":
        config["lamp_driver"] = driver
    scene = Street(
        "lamppost",
        BOARD,
        config,
        start_us,
        readings=OWN_READINGS + AIR_READINGS,
        records=2,
        bound=lambda end_us: (end_us // LAMP_PERIOD + 1) * LAMP_PERIOD,
    )
    station = meters.ModbusDevice(4800, meters.NONE, air, Faults(), address=int(STATION))
    scene.bus = BusTwin([meters.electricity_meter(METER, scene.measured, Faults()), station])

    def mains(millivolts: int) -> None:
        if scene.lamp is not None and scene.supply is not None and scene.board_ is not None:
            scene.supply.count()
            scene.lamp.volts_dv = millivolts // 100
            scene.board_.pins.microvolts[pin] = millivolts * 3_000_000 // FULL_SCALE_MV

    def schedule() -> Iterator[tuple[int, Change]]:
        slot = start_us // LAMP_PERIOD
        at = start_us
        while True:
            millivolts = chance.randint(210_000, 230_000)
            scene.given.append((max(slot * LAMP_PERIOD, start_us), millivolts))
            yield at, Do(lambda millivolts=millivolts: mains(millivolts))  # type: ignore[misc]
            slot += 1
            at = slot * LAMP_PERIOD - SECOND

    scene._schedule = schedule()
    return scene
