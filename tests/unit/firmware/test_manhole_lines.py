"""A manhole's float and cover that flap, and events whose sensor or threshold is gone."""

import sys
import types
from typing import Any, ClassVar

import pytest
from firmware_modules import forget, fresh
from node.wire import cbor

NOW = 1_780_300_800
MOVED, WET, H2S, SUPPLY, RAIN = 24, 25, 26, 28, 29
PINS = {"level": 1, "supply": 2, "h2s": 3, "cover": 12, "water": 21}


class Wires:
    """What the pins are at."""

    high: ClassVar[set[int]] = set()
    microvolts: ClassVar[dict[int, int]] = {}


class State(dict[str, Any]):
    def set(self, key: str, value: object) -> None:
        self[key] = value


class Point:
    """A point that samples; its events."""

    def __init__(self, module: Any, **config: Any) -> None:
        self.config: dict[str, Any] = {
            "pins": PINS, "fitted": ["water", "cover", "supply", "h2s"], "full_scale": 5000,
            "low_uv": 600_000, "high_uv": 3_000_000, "warm_ms": 0, "gas_warm_s": 0, "gas_s": 1,
            **config,
        }  # fmt: skip
        self.module = module
        self.state = State()
        self.bodies: list[bytes] = []
        self.rain: Any = None
        self.now = NOW

    def append(self, body: bytes, priority: int = 0) -> int:
        self.bodies.append(body)
        return len(self.bodies)

    def sample(self, seconds: int = 1) -> list[tuple[int, int]]:
        self.now += seconds
        journal = types.SimpleNamespace(append=self.append)
        hole = self.module.Manhole(self.config, self.state, lambda: journal, self.rain)
        hole.sample(self.now, 0)
        records: Any = [cbor.decode(body) for body in self.bodies]
        return [(r[2] - 1000, r[3]) for r in records if r[2] > 1000]


@pytest.fixture
def manhole(monkeypatch: pytest.MonkeyPatch) -> Any:
    machine: Any = types.ModuleType("machine")

    class Pin:
        IN, OUT = 1, 3

        def __init__(self, number: int, *_: int) -> None:
            self.number = number

        def value(self) -> int:
            return int(self.number in Wires.high)

    class ADC:
        ATTN_11DB = 3

        def __init__(self, pin: Pin, atten: int) -> None:
            self._number = pin.number

        def read_uv(self) -> int:
            return Wires.microvolts[self._number]

    machine.Pin, machine.ADC = Pin, ADC
    Wires.high, Wires.microvolts = set(), {1: 1_000_000, 2: 1_200_000, 3: 600_000}
    monkeypatch.setitem(sys.modules, "machine", machine)
    forget("events", "sense.plausible", "sense.analog")
    module = fresh("roles.manhole")
    module.__dict__["time"] = types.SimpleNamespace(sleep_ms=lambda ms: None)
    return module


def flap(point: Point, pin: int, times: int = 100) -> list[tuple[int, int]]:
    """It rises and falls every five seconds, and each rise wakes the node."""
    told = []
    for _ in range(times):
        Wires.high.add(pin)
        point.sample(5)
        Wires.high.discard(pin)
        told = point.sample(5)
    return told


@pytest.mark.parametrize(("pin", "event"), [(PINS["water"], WET), (PINS["cover"], MOVED)])
def test_a_line_that_flaps_is_one_event(manhole: Any, pin: int, event: int) -> None:
    point = Point(manhole)
    assert flap(point, pin) == [(event, 1)]
    assert point.state["look"] == point.now + 60
    assert point.sample(59) == [(event, 1)]
    assert point.sample(1) == [(event, 1), (event, 0)]
    assert point.state["look"] == 0


def test_without_a_time_for_the_way_back_it_is_many(manhole: Any) -> None:
    assert len(flap(Point(manhole, water_back_s=0), PINS["water"])) == 200


def test_a_splash_is_none(manhole: Any) -> None:
    point = Point(manhole, water_s=30)
    assert flap(point, PINS["water"]) == []
    Wires.high.add(PINS["water"])
    point.sample()
    assert point.state["look"] == point.now + 30
    assert point.sample(30) == [(WET, 1)]


@pytest.mark.parametrize("off", [{"supply_low_mv": 0, "h2s_ppm": 0}, {"fitted": []}])
def test_what_is_watched_no_longer_is_over(manhole: Any, off: dict[str, Any]) -> None:
    point = Point(manhole, supply_low_mv=13_000)
    Wires.microvolts[3] = 1_000_000
    Wires.high.add(PINS["water"])
    point.sample(3600)
    assert sorted(point.state["events"]) == [WET, H2S, SUPPLY]
    point.config.update(off)
    point.sample(3600)
    point.sample(60)
    assert point.state["events"] == ([] if "fitted" in off else [WET])


@pytest.mark.parametrize("gone", [False, True])
def test_so_is_rain(manhole: Any, gone: bool) -> None:
    point = Point(manhole)
    point.rain = types.SimpleNamespace(
        tips=lambda: 500, rate=lambda now: 150, dry_for=lambda now: 0
    )
    assert point.sample(3600) == [(RAIN, 1)]
    if gone:
        point.rain = None
    else:
        point.config["rain_mm_h"] = 0
    assert point.sample(3600) == [(RAIN, 1), (RAIN, 0)]
