"""A gas meter's valve: who may close it, who may open it, and what a power cut leaves of it."""

from collections.abc import Iterator
from typing import Any

import esp32
import pytest
from numbers_rig import PowerCut
from valve_rig import OPENED_UP, SHUT, Meter, World, firmware

from fleet.wire import command

CLOSE, ARM = command.VALVE_CLOSE, command.VALVE_ARM
LEAK, GAS, FAULT, CLOSED = 1, 6, 13, 15


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def meter(world: World) -> Iterator[Meter]:
    with firmware(world) as modules:
        yield Meter(world, modules)


def armed(meter: Meter, seconds: int = 600) -> None:
    """Closed by a command, and leave to open it again."""
    assert meter.command(CLOSE, [], meter.world.now) == (command.DONE, 1)
    assert meter.command(ARM, [seconds], meter.world.now) == (command.DONE, 1)


def press(meter: Meter, ms: int = 4000, after_ms: int = 1000) -> None:
    """The button wakes the node; the wake ends."""
    world = meter.world
    world.ms += after_ms
    world.pressed.append((world.ms, world.ms + ms))
    meter.look(button=True)


def test_a_command_closes_it_and_says_so(meter: Meter) -> None:
    assert meter.command(CLOSE, [], meter.world.now) == (command.DONE, 1)
    assert meter.world.position == SHUT
    assert meter.world.levels[39] == 0, "the motor is off"
    assert meter.journal.records() == [[meter.world.now, 0, 11, 1]]
    assert meter.command(CLOSE, [], meter.world.now) == (command.DONE, 1)
    assert meter.world.runs[39] == 1, "closed is closed"


def test_it_opens_after_three_seconds_at_the_button(meter: Meter) -> None:
    armed(meter)
    press(meter)
    assert meter.world.position == OPENED_UP
    assert meter.state.get("arm") is None
    assert meter.valve().wanted() == 0
    press(meter, after_ms=60_000)
    assert meter.world.runs[38] == 1, "leave is spent"


@pytest.mark.parametrize("ms", [100, 2000, 2900])
def test_a_short_press_opens_nothing(meter: Meter, ms: int) -> None:
    armed(meter)
    press(meter, ms)
    assert meter.world.position == SHUT
    press(meter)
    assert meter.world.position == OPENED_UP, "leave is still good"


def test_a_press_without_leave_opens_nothing(meter: Meter) -> None:
    meter.command(CLOSE, [], meter.world.now)
    press(meter)
    assert meter.world.position == SHUT


@pytest.mark.parametrize("late_ms", [599_000, 600_000, 700_000])
def test_leave_ends_with_its_time_even_while_the_button_is_held(
    meter: Meter, late_ms: int
) -> None:
    armed(meter, 600)
    press(meter, after_ms=late_ms)
    assert meter.world.position == SHUT


def test_a_clock_that_goes_back_ends_leave(meter: Meter) -> None:
    armed(meter)
    meter.world.ms -= 7200_000
    press(meter)
    assert meter.world.position == SHUT


def test_any_closing_ends_leave(meter: Meter) -> None:
    armed(meter)
    meter.command(CLOSE, [], meter.world.now)
    press(meter)
    assert meter.world.position == SHUT


def test_a_button_that_was_down_when_leave_came_opens_nothing(meter: Meter) -> None:
    world = meter.world
    world.pressed.append((world.ms - 1000, world.ms + 60_000))  # it is stuck
    armed(meter)
    world.ms += 5000
    meter.look(button=True)
    assert world.position == SHUT
    world.ms += 60_000
    meter.look()  # an hour later it is seen to be up
    press(meter)
    assert world.position == OPENED_UP


def test_power_ends_leave(meter: Meter) -> None:
    armed(meter)
    meter.boot()
    meter.start()
    press(meter)
    assert meter.world.position == SHUT


def test_an_open_valve_takes_no_leave_in_advance(meter: Meter) -> None:
    assert meter.command(ARM, [600], meter.world.now) == (command.NOT_ARMED, 0)
    assert meter.state.get("arm") is None


@pytest.mark.parametrize("arguments", [[], [59], [604801], [600, 1]])
def test_leave_for_too_short_or_too_long_is_refused(meter: Meter, arguments: list[int]) -> None:
    meter.command(CLOSE, [], meter.world.now)
    assert meter.command(ARM, arguments, meter.world.now) == (command.BAD_ARGUMENTS, 0)


def test_while_there_is_gas_there_is_no_leave_and_no_opening(world: World) -> None:
    with firmware(world) as modules:
        pins = {"button": 6, "valve_open": 38, "valve_close": 39, "valve_opened": 40}
        meter = Meter(world, modules, pins={**pins, "valve_closed": 41, "gas": 2}, gas_s=0)
        world.microvolts[2] = 400_000
        armed(meter)
        world.microvolts[2] = 700_000  # 18.8 % of the lower explosive limit
        press(meter)
        assert world.position == SHUT
        assert meter.command(ARM, [600], world.now) == (command.DANGER, GAS)
        world.microvolts[2] = 400_000
        world.ms += 10_000
        assert meter.command(ARM, [600], world.now)[0] == command.DONE
        press(meter)
        assert world.position == OPENED_UP


def test_a_stuck_motor_is_told_and_tried_again_an_hour_later(meter: Meter) -> None:
    world = meter.world
    world.jam = (400, 1)
    assert meter.command(CLOSE, [], world.now) == (command.FAILED, 2)
    assert (FAULT, 1) in meter.journal.events()
    runs = world.runs[39]
    meter.look()
    assert world.runs[39] == runs, "not at each wake: it costs the battery"
    world.jam = None
    world.ms += 3600_000
    meter.look()
    assert world.position == SHUT
    assert meter.journal.events()[-1] == (FAULT, 0)


def test_a_stall_is_seen_by_the_current_long_before_the_time_is_over(world: World) -> None:
    with firmware(world) as modules:
        pins = {"valve_open": 38, "valve_close": 39, "valve_opened": 40, "valve_closed": 41}
        meter = Meter(world, modules, pins={**pins, "valve_ma": 9}, valve_drive_s=60)
        world.jam = (400, 1)
        world.microvolts[9] = 300 * 6000
        before = world.ms
        assert meter.command(CLOSE, [], world.now) == (command.FAILED, 3)
        assert world.ms - before < 500


def test_a_valve_that_does_not_open_whole_is_closed_again(meter: Meter) -> None:
    armed(meter)
    meter.world.jam = (500, -1)
    press(meter)
    assert meter.world.position == SHUT
    assert meter.valve().wanted()
    assert (FAULT, 1) in meter.journal.events()


def test_gas_behind_a_closed_valve_is_a_fault(meter: Meter) -> None:
    meter.command(CLOSE, [], meter.world.now)
    for pulses, faulty in ((0, False), (2, False), (3, True)):
        meter.state.set("pulses", pulses)
        meter.world.ms += 60_000
        meter.look(pulse=True)
        assert ((FAULT, 1) in meter.journal.events()) == faulty


def test_a_valve_that_was_forced_open_is_closed(meter: Meter) -> None:
    meter.command(CLOSE, [], meter.world.now)
    meter.world.position = OPENED_UP
    meter.look()
    assert meter.world.position == SHUT


def test_a_valve_between_its_stops_is_closed(meter: Meter) -> None:
    meter.world.position = 300
    meter.look()
    assert meter.world.position == SHUT
    assert meter.journal.events() == [(CLOSED, 1)]


def cut_everywhere(meter: Meter, begin: Any, after: Any) -> int:
    """Power fails at each step of `begin`; what `after` says of the valve once it is back."""
    cuts = 0
    while True:
        world = meter.world
        world.position = OPENED_UP
        esp32.flash.kept.pop("vlv", None)
        meter.boot()
        world.fuse.left = None
        world.pressed.clear()
        ready = begin(meter)
        world.fuse.left = cuts
        try:
            ready()
        except PowerCut:
            pass
        else:
            world.fuse.left = None
            return cuts
        between = 0 < world.position < SHUT
        meter.boot()
        meter.start()
        assert world.position in (OPENED_UP, SHUT) or not between or not meter.valve().wanted()
        meter.look()
        after(meter)
        cuts += 1


def test_closing_is_finished_after_a_power_cut_or_was_not_begun(meter: Meter) -> None:
    def begin(meter: Meter) -> Any:
        return lambda: meter.command(CLOSE, [], meter.world.now)

    def after(meter: Meter) -> None:
        wanted = esp32.flash.kept.get("vlv", 0)
        assert meter.world.position == (SHUT if wanted else OPENED_UP)

    assert cut_everywhere(meter, begin, after) > 30


def test_opening_that_power_ends_midway_ends_closed(meter: Meter) -> None:
    opened = []

    def begin(meter: Meter) -> Any:
        armed(meter)
        world = meter.world
        world.ms += 1000
        world.pressed.append((world.ms, world.ms + 4000))
        return lambda: meter.look(button=True)

    def after(meter: Meter) -> None:
        world = meter.world
        runs = world.runs[38]
        wanted = esp32.flash.kept.get("vlv", 0)
        assert world.position == (SHUT if wanted else OPENED_UP)
        opened.append(world.position == OPENED_UP)
        world.ms += 10_000
        press(meter)
        assert world.runs[38] == runs, "leave is spent, or went with the power"

    assert cut_everywhere(meter, begin, after) > 150
    assert any(opened)
    assert not all(opened)


def test_a_flash_that_takes_no_write_does_not_keep_it_open(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, key: str, value: int) -> None:
        raise OSError(-0x1105)

    monkeypatch.setattr(esp32.NVS, "set_i32", full)
    assert meter.command(CLOSE, [], meter.world.now) == (command.DONE, 1)
    assert meter.world.position == SHUT
    meter.look()
    assert meter.world.position == SHUT
    # To open it stays strict: what is not known to be wanted is closed again.
    assert meter.command(ARM, [600], meter.world.now) == (command.DONE, 1)
    with pytest.raises(OSError, match=str(-0x1105)):
        press(meter)
