"""When a drainage point samples and reports, and which commands are its; pins are stand-ins."""

import sys
import types
from typing import Any, ClassVar

import esp32
import pytest
from firmware_modules import fresh

NOW = 1_780_300_800
EXT0, TIMER = 2, 4
READ_NOW, VALVE_CLOSE = 3, 1


class Pin:
    """An input of the level in `levels`."""

    IN, PULL_DOWN, IRQ_RISING = 1, 1, 1
    levels: ClassVar[dict[int, int]] = {}

    def __init__(self, number: int, *_: Any) -> None:
        self.number = number

    def irq(self, handler: Any, trigger: int) -> None:
        self.handler = handler

    def value(self) -> int:
        return self.levels.get(self.number, 0)


class State(dict[str, Any]):
    def set(self, key: str, value: object) -> None:
        self[key] = value


@pytest.fixture
def drainage(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with its chip's stand-ins."""
    machine: Any = types.ModuleType("machine")
    machine.Pin, machine.EXT0_WAKE, machine.wake_reason = Pin, EXT0, lambda: TIMER
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setattr(esp32, "WAKEUP_ANY_HIGH", True, raising=False)
    monkeypatch.setattr(esp32, "wake_on_ext0", lambda pin, level: None, raising=False)
    Pin.levels = {}
    monkeypatch.setattr(fresh("clock"), "now", lambda: NOW)
    return fresh("roles.drainage")


class Point:
    """The role, whose samples are counted."""

    def __init__(self, module: Any, **config: Any) -> None:
        self.state = State(clock_sure=1, slot=NOW - 1)
        config = {"pins": {"wake": 5, "water": 21, "shock": 11}, "sample_s": 900, **config}
        self.role = module.Drainage(config, self.state, None)
        self.samples: list[tuple[int, int]] = []
        self.role._sample = lambda now, quality: self.samples.append((now, quality))


@pytest.mark.parametrize(("last", "opens"), [(-1, 1), (0, 0), (900, 0), (1800, 1), (10**8, 1)])
def test_a_slot_that_a_wrong_clock_took_stops_no_sampling(
    drainage: Any, last: int, opens: int
) -> None:
    point = Point(drainage)
    point.state.set("slot", NOW + last)
    point.role.sense(NOW, TIMER, 0)
    assert len(point.samples) == opens


QUIET, RISING, STORM = [0, 0, 0], [1, 0, 0], [2, 0, 0]
DOUBT = [0, 0, 1]


@pytest.mark.parametrize(
    ("config", "mode", "period"),
    [
        ({}, QUIET, 900), ({}, RISING, 225), ({}, STORM, 60), ({}, DOUBT, 60),
        ({"rising_s": 120, "storm_s": 30}, RISING, 120),
        ({"rising_s": 120, "storm_s": 30}, STORM, 30),
        ({"rising_s": 120, "storm_s": 0}, STORM, 120),
        ({"sample_s": 60}, STORM, 60), ({"sample_s": 86_400}, STORM, 5760),
        ({"sample_s": 30}, RISING, 30),
    ],
)  # fmt: skip
def test_the_grid_follows_the_water(
    drainage: Any, config: dict[str, int], mode: list[int], period: int
) -> None:
    point = Point(drainage, **config)
    point.state["mode"] = mode
    assert point.role.due(NOW) == (NOW // period + 1) * period


def test_without_a_period_only_a_sensor_wakes_it(drainage: Any) -> None:
    point = Point(drainage, sample_s=0)
    for mode in (QUIET, RISING, STORM, DOUBT):
        point.state["mode"] = mode
        assert point.role.due(NOW) is None
        point.role.sense(NOW, TIMER, 0)
    assert point.samples == []
    point.role.sense(NOW, EXT0, 0)
    assert len(point.samples) == 1


@pytest.mark.parametrize(("mode", "within"), [(QUIET, 21_600), (RISING, 3600), (STORM, 900)])
def test_reports_come_sooner_in_a_storm(drainage: Any, mode: list[int], within: int) -> None:
    point = Point(drainage)
    point.state.update(mode=mode, next_report=NOW + 21_600)
    point.role.due(NOW)
    assert point.state["next_report"] == NOW + within
    point.role.due(NOW + 60)
    assert point.state["next_report"] == NOW + within, "each wake would put it off"


def test_what_a_sensor_calls_while_the_node_is_busy_is_sampled_before_it_sleeps(
    drainage: Any,
) -> None:
    point = Point(drainage, fitted=["water"])
    point.role._lines["water"].handler(None)
    point.state["urgent"] = 1
    assert point.role.due(NOW) == NOW + 1, "what is grave is told at once"
    assert point.samples == [(NOW, 0)]
    assert point.role.due(NOW) > NOW + 1


def test_only_lines_that_are_low_are_waited_for(drainage: Any) -> None:
    point = Point(drainage, fitted=["water", "tilt"])
    Pin.levels = {21: 1}
    assert [pin.number for pin in point.role.arm()] == [11]
    assert point.state["armed"] == ["tilt"], "the sensor's own line has EXT0"
    # The water's contact, closed for hours, is not who called: that was the button.
    assert not point.role.caller()
    Pin.levels[11] = 1
    assert point.role.caller()
    point.role.sense(NOW, TIMER, 0)
    assert len(point.samples) == 1


def test_what_is_not_fitted_is_not_listened_to(drainage: Any) -> None:
    assert list(Point(drainage).role._lines) == ["wake"]


def test_read_now_samples_and_other_commands_are_not_its(drainage: Any) -> None:
    point = Point(drainage)
    assert point.role.command(READ_NOW, [], NOW) == (0, 0)
    assert point.samples == [(NOW, 0)]
    point.state["clock_sure"] = 0
    point.role.command(READ_NOW, [], NOW)
    assert point.samples[-1] == (NOW, 1)
    assert point.role.command(VALVE_CLOSE, [], NOW) == (7, 0)
    assert len(point.samples) == 2


@pytest.mark.parametrize("period", [0, 900])
def test_a_time_of_a_float_that_runs_out_has_a_sample_and_no_more_than_one(
    drainage: Any, period: int
) -> None:
    point = Point(drainage, sample_s=period)
    point.state["look"] = NOW + 60
    assert point.role.due(NOW) == NOW + 60
    assert point.role.due(NOW + 70) == NOW + 71, "it ran out while the node was busy"
    point.role.sense(NOW + 71, TIMER, 0)
    assert point.samples == [(NOW + 71, 0)]
    assert point.role.due(NOW + 71) == (NOW + 900 if period else None)
