"""What surrounds a virtual node of each role: its board, its configuration, and its stimulus.

A scene counts what it gives: a bench knows what must arrive without asking the firmware.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fleet.flashing.hardware import load_board, load_node_type
from hil.virtual.rs485.line import BusTwin
from hil.virtual.sensors.water import Loop, SwitchedSensors
from hil.virtual.stimulus import Adc, Change, Do, Pulse
from hil.virtual.storm import Weather
from hil.virtual.twin import UartTwin

if TYPE_CHECKING:
    from hil.virtual.board import VirtualBoard

SECOND = 1_000_000
HOUR = 3600 * SECOND
LOW_UV, HIGH_UV = 600_000, 3_000_000  # 4-20 mA over 150 ohm
LAMP_PERIOD = 900 * SECOND
LITRES_PER_PULSE = 10
FREEZES = (1, 6, 7)  # the register of an hour, a day, a month
QUIET = range(15, 21)  # hours of UTC in which nobody cooks
UTC_OFFSET_H = 8  # of local time: a meter's default
FULL_SCALE_MV = 400_000  # of the divider that measures a lamppost's supply


@dataclass
class Scene:
    """One node's surroundings from `start_us` (virtual, us since 1970 UTC) until `end` is called.

    `given` has (time in us, value) of every sample that the node must report, one for each of
    `readings` quantities; `bound` says from an end on which reading times no longer count.
    `quantities` are those that count, where a node reports others too; empty: all readings of an
    asset. `twins` hang on UARTs by number; `attach` hangs the rest on a board with these pins.
    """

    role: str
    board: str
    config: dict[str, Any]
    start_us: int
    readings: int = 1
    given: list[tuple[int, int]] = field(default_factory=list)
    pulses: int = 0
    bound: Callable[[int], int] = lambda end_us: end_us + 1
    bus: BusTwin | None = None  # what hangs on the board's RS-485 line
    records: int = 1  # that the node makes of one sample's readings
    shut: Callable[[], bool] = lambda: False  # whether a valve lets nothing through
    quantities: tuple[int, ...] = ()
    twins: dict[int, UartTwin] = field(default_factory=dict)
    _attach: Callable[["VirtualBoard", Mapping[str, int]], None] = lambda board, pins: None
    _schedule: Iterator[tuple[int, Change]] = field(default_factory=lambda: iter(()))
    _end_us: int | None = None

    def schedule(self) -> Iterator[tuple[int, Change]]:
        """The changes for the board's stimulus, until the end."""
        for at, change in self._schedule:
            if self._end_us is not None and at > self._end_us:
                return
            yield at, change

    def end(self, at_us: int) -> None:
        """Nothing is given after `at_us`."""
        self._end_us = at_us

    def attach(self, board: "VirtualBoard", pins: Mapping[str, int]) -> None:
        """Hang on the board what stands around it; called once, before it has power."""
        self._attach(board, pins)

    def tale(self) -> list[str]:
        """What befell it that a person may want to read, a line each."""
        return []

    def sensed(self, until_us: int) -> int:
        """Readings that the stimulus gave by then."""
        return self.readings * sum(at <= until_us for at, _ in self.given)


def microvolts(value_mm: int, full_scale_mm: int) -> int:
    """What the level sensor puts out at `value_mm`, beyond its range clipped to the ADC's."""
    raw = LOW_UV + value_mm * (HIGH_UV - LOW_UV) // full_scale_mm
    return max(0, min(raw, 3_300_000))


def gas_meter(start_us: int, seed: int, board: str = "esp32s3-bc660k") -> Scene:
    """Pulses of 10 l, one in some minutes, more around local noon and evening and none at night; a
    freeze every hour, and at local midnight those of the day and of the month.
    """
    chance = random.Random(seed)
    pin = load_board(board).pins["pulse"]
    scene = Scene(
        "gas-meter",
        board,
        {"litres_per_pulse": LITRES_PER_PULSE, "report_s": 21600, "report_records": 6},
        start_us,
        quantities=FREEZES,
    )

    def schedule() -> Iterator[tuple[int, Change]]:
        at = start_us
        while True:
            hour = at // HOUR % 24
            mean = 300 if hour in (3, 4, 10, 11, 12) else 1500
            step = max(5 * SECOND, int(chance.expovariate(1 / mean) * SECOND))
            if hour in QUIET:  # without a pause every flow is a leak
                step += (QUIET.stop - hour) * HOUR
            _freeze(scene, at, at + step)
            at += step
            scene.pulses += 1
            yield at, Pulse(pin, 500_000)

    scene._schedule = schedule()
    return scene


def gas_leak(start_us: int, board: str = "esp32s3-bc660k", litres_per_hour: int = 30) -> Scene:
    """A small flow that never ends, until the meter closes its valve: after 4 hours it should."""
    pin = load_board(board).pins["pulse"]
    scene = Scene(
        "gas-meter",
        board,
        {
            "litres_per_pulse": LITRES_PER_PULSE,
            "report_s": 21600,
            "report_records": 6,
            "leak_s": 14400,
        },
        start_us,
        quantities=FREEZES,
    )
    step = LITRES_PER_PULSE * HOUR // litres_per_hour

    def schedule() -> Iterator[tuple[int, Change]]:
        at = start_us
        while True:
            _freeze(scene, at, at + step)
            at += step
            if scene.shut():
                yield at, Do(lambda: None)
            else:
                scene.pulses += 1
                yield at, Pulse(pin, 500_000)

    scene._schedule = schedule()
    return scene


def _freeze(scene: Scene, from_us: int, to_us: int) -> None:
    # The registers that the meter freezes between two pulses.
    for boundary in range(from_us // HOUR + 1, to_us // HOUR + 1):
        frozen = (boundary * HOUR, scene.pulses * LITRES_PER_PULSE)
        days = scene.config.get("freeze_days", 1)
        scene.given += [frozen] * (_freezes(boundary) if days else 1)


def _freezes(hour: int) -> int:
    """How many registers a meter freezes at an hour since 1970."""
    local = datetime.fromtimestamp(hour * HOUR // SECOND, UTC) + timedelta(hours=UTC_OFFSET_H)
    return 1 + (local.hour == 0) + (local.hour == 0 and local.day == 1)


def drainage(
    start_us: int, levels: Iterable[tuple[int, float]], board: str = "esp32s3-bc660k"
) -> Scene:
    """A level trace, (us since 1970 UTC, m): the sensor wakes the node at each row's time."""
    rows = [(at, round(value * 1000)) for at, value in levels]
    pins = load_board(board).pins
    full_scale = max([10_000] + [value * 5 // 4 for _, value in rows])
    scene = Scene(
        "drainage",
        board,
        {
            "sample_s": 0,  # and so in every weather: each row is one sample
            "report_s": 21600,
            "report_records": 6,
            "full_scale": full_scale,
            "low_uv": LOW_UV,
            "high_uv": HIGH_UV,
        },
        start_us,
    )

    def schedule() -> Iterator[tuple[int, Change]]:
        for at, value in rows:
            scene.given.append((at, value))
            yield at, Adc(pins["level"], microvolts(value, full_scale), wake_pin=pins["wake"])

    scene._schedule = schedule()
    return scene


# Each sample of `manhole`: level, supply, velocity, rain, cover's tilt, cover open, water.
MANHOLE_QUANTITIES = (2, 5, 12, 13, 15, 16, 17)
SUPPLY_MV = 13_200


def manhole(start_us: int, seed: int) -> Scene:
    """A manhole with all sensors, a storm a day: it samples more often the wilder the water is.

    When it samples is for the node to say: what is given is what its sensors were asked for.
    """
    kind = load_node_type("manhole")
    board = load_board(kind.board)
    weather = Weather(start_us, seed)
    sensors = SwitchedSensors(
        {
            "level": Loop(weather.level_mm, 5000),
            "velocity": Loop(weather.velocity_mm_s, 5000),
            "h2s": Loop(lambda at: 5, 1000),  # 0.5 ppm
            "ch4": Loop(lambda at: 10, 1000),  # 1 % of the lower explosive limit
        }
    )
    scene = Scene(
        "drainage",
        board.name,
        {**kind.config, "report_records": 24},
        start_us,
        readings=len(MANHOLE_QUANTITIES),
        quantities=MANHOLE_QUANTITIES,
    )
    scene._schedule = weather.tips(board.pins["rain"])
    sensors.told = lambda at: scene.given.append((at, weather.level_mm(at)))

    def attach(on: "VirtualBoard", pins: Mapping[str, int]) -> None:
        sensors.attach(on, pins)
        on.pins.microvolts[pins["supply"]] = SUPPLY_MV * 100  # 2 V at 20 V

    def bound(end_us: int) -> int:
        # A reading has the whole second in which its sensors were asked, or one before.
        last = max((at for at, _ in scene.given if at <= end_us), default=end_us)
        following = min((at for at, _ in scene.given if at > end_us), default=end_us + SECOND)
        return (last + following) // 2

    scene._attach, scene.bound = attach, bound
    return scene


def quiet_river(start_us: int, seed: int) -> Iterator[tuple[int, float]]:
    """A level for every hour: a slow tide, a storm now and then, a sensor that jumps at times."""
    chance = random.Random(seed)
    level, rise = 1.8, 0.0
    for hour in range(24 * 366):
        if chance.random() < 0.01:
            rise = chance.uniform(0.2, 0.8)
        level = max(0.9, level + rise - (level - 1.8) * 0.1 + chance.uniform(-0.02, 0.02))
        rise *= 0.5
        jump = chance.uniform(0.5, 3.0) if chance.random() < 0.005 else 0.0
        yield start_us + hour * HOUR + chance.randint(0, 60) * SECOND, min(level + jump, 9.0)
