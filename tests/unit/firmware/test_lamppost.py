"""The role of a lamppost: plan, overrides, commands, what it watches, by 0-10 V and by DALI."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pole_rig import NIGHT, NOON, PINS, Pole, poles

from fleet.wire import command, quantity

FAILED, LEAKAGE, TILT, DOOR, WATER, POWER_LOST, BY_DAY = 40, 41, 42, 43, 44, 45, 46
Q = {name: code for code, (name, _, _) in quantity.QUANTITIES.items()}
Make = Callable[..., Pole]


@pytest.fixture
def pole(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    yield from poles(monkeypatch)


def measure(pole: Pole) -> None:
    """As its meter would."""
    pole.role._measured = {Q["active_power"]: pole.lamp.power_dw}


def watch(pole: Pole, seconds: int, step: int = 60) -> None:
    for _ in range(0, seconds, step):
        pole.us += step * 1_000_000
        measure(pole)
        pole.wake()


def test_it_never_sleeps(pole: Make) -> None:
    assert pole().role.mains
    assert not pole().role.called()


def test_it_burns_by_its_plan_and_records_each_slot_once(pole: Make) -> None:
    p = pole(watch_s=300)
    p.wake()
    lit = []
    while p.now < NOON + 86_400:
        p.us = p.role.due(p.now) * 1_000_000
        p.wake()
        lit.append((p.now, p.lamp.light))
    on = [at for at, light in lit if light]
    assert abs(on[0] - (NOON + 3 * 3600 + 34 * 60)) < 60, "civil dusk, 19:34 in Guangzhou"
    records = [r for r in p.journal.records if r[2] < 1000]
    assert len(records) == 97
    assert [r[0] // 900 for r in records] == list(range(NOON // 900, NOON // 900 + 97))
    assert {light for at, light in lit} == {0, 1000, 500}


def test_it_wakes_for_each_step_at_its_second(pole: Make) -> None:
    p = pole(watch_s=3600, sample_s=86_400, lamp_plan=["16:07", 300, "16:08", 0])
    p.wake()
    assert p.role.due(p.now) == NOON + 7 * 60
    p.until(NOON + 7 * 60)
    assert p.lamp.light == 300
    assert p.role.due(p.now) == NOON + 8 * 60


def test_without_a_sure_clock_it_is_rather_lit(pole: Make) -> None:
    p = pole()
    p.state.set("clock_sure", 0)
    p.wake()
    assert p.lamp.light == 1000
    p.state.set("clock_sure", 1)
    p.wake()
    assert p.lamp.light == 0


def test_a_clock_that_is_set_back_has_the_plan_looked_at_again(pole: Make) -> None:
    p = pole(NIGHT)
    p.wake()
    assert p.lamp.light == 1000
    p.us -= 6 * 3600 * 1_000_000
    p.wake()
    assert p.lamp.light == 0


# Commands


def test_dim_and_relay_hold_until_they_expire(pole: Make) -> None:
    p = pole()
    p.wake()
    assert p.role.command(command.DIM, [300, 600], p.now) == (command.DONE, 300)
    assert p.lamp.light == 300
    assert p.role.due(p.now) <= p.now + 600
    p.wake(599)
    assert p.lamp.light == 300
    p.wake(1)
    assert p.lamp.light == 0
    assert p.role.command(command.RELAY, [1, 60], p.now) == (command.DONE, 1000)
    assert p.role.command(command.RELAY, [0, 60], p.now) == (command.DONE, 0)
    assert p.state["lamp"] == [0, p.now + 60]


def test_off_at_night_ends_with_its_time(pole: Make) -> None:
    p = pole(NIGHT)
    p.wake()
    p.role.command(command.RELAY, [0, 1800], p.now)
    p.wake(1799)
    assert p.lamp.light == 0
    p.until(p.now + 1)
    assert p.lamp.light == 1000


def test_an_override_of_no_seconds_gives_the_lamp_back_to_its_plan(pole: Make) -> None:
    p = pole()
    p.role.command(command.DIM, [1000, 3600], p.now)
    assert p.role.command(command.DIM, [0, 0], p.now) == (command.DONE, 0)
    p.wake(1)
    assert p.state["lamp"] is None


def test_an_override_outlives_a_restart(pole: Make) -> None:
    p = pole()
    p.role.command(command.DIM, [400, 3600], p.now)
    again = pole()
    again.state.update(p.state)
    again.wake()
    assert again.lamp.light == 400


@pytest.mark.parametrize(
    ("code", "arguments"),
    [(command.RELAY, []), (command.RELAY, [2, 60]), (command.RELAY, [-1, 60]),
     (command.RELAY, [1]),
     (command.RELAY, [1, -1]), (command.RELAY, [1, 604_801]), (command.DIM, [1001, 60]),
     (command.DIM, [500, 60, 1]), (command.IDENTIFY, []), (command.IDENTIFY, [3601])],
)  # fmt: skip
def test_arguments_out_of_bounds_do_nothing(pole: Make, code: int, arguments: list[int]) -> None:
    p = pole()
    p.wake()
    assert p.role.command(code, arguments, p.now)[0] == command.BAD_ARGUMENTS
    assert "lamp" not in p.state
    assert p.lamp.light == 0


def test_what_is_not_a_lampposts_is_refused(pole: Make) -> None:
    p = pole()
    for code in (command.VALVE_CLOSE, command.VALVE_ARM, 200):
        assert p.role.command(code, [], p.now) == (command.NOT_MINE, 0)


def test_it_blinks_to_be_found(pole: Make) -> None:
    p = pole()
    p.wake()
    p.role.command(command.IDENTIFY, [6], p.now)
    seen = []
    for _ in range(8):
        seen.append(p.lamp.light)
        p.until(p.now + 1)
    assert set(seen[:6]) == {100, 1000}
    assert p.lamp.light == 0


def test_read_now_records_out_of_turn_and_reports(pole: Make) -> None:
    p = pole()
    p.wake()
    before = len(p.journal.records)
    assert p.role.command(command.READ_NOW, [], p.now + 5)[0] == command.DONE
    p.wake(5)
    p.wake(5)
    assert len(p.journal.records) == before + 1
    assert p.state["urgent"] == 2


# What it watches


def test_a_lamp_that_takes_nothing_has_failed_until_it_is_changed(pole: Make) -> None:
    p = pole(NIGHT, lamp_dw=1500)
    measure(p)
    p.wake()
    watch(p, 600)
    assert p.journal.events() == []
    p.lamp.failed = True
    watch(p, 300)
    assert p.journal.events() == [(FAILED, 1)]
    assert p.state["urgent"] == 1
    p.lamp.failed = False
    watch(p, 120)
    assert p.journal.events() == [(FAILED, 1), (FAILED, 0)]


def test_a_lamp_that_failed_is_not_well_because_day_comes(pole: Make) -> None:
    p = pole(NIGHT, lamp_dw=1500)
    p.lamp.failed = True
    watch(p, 300)
    p.until(NIGHT + 10 * 3600)
    assert p.journal.events() == [(FAILED, 1)]


def test_a_dimmed_lamp_is_no_failed_lamp(pole: Make) -> None:
    p = pole(lamp_dw=1500)
    for permille in (1000, 500, 250, 100, 50):
        p.role.command(command.DIM, [permille, 7200], p.now)
        watch(p, 1200)
    assert p.journal.events() == []


def test_a_lamp_that_burns_by_day_is_told(pole: Make) -> None:
    p = pole()
    p.wake()
    p.lamp.welded = True
    watch(p, 180)
    assert p.journal.events() == [(BY_DAY, 1)]
    p.lamp.welded = False
    watch(p, 60)
    assert p.journal.events()[-1] == (BY_DAY, 0)


def test_a_lamp_that_is_commanded_on_by_day_is_not(pole: Make) -> None:
    p = pole()
    p.role.command(command.DIM, [1000, 7200], p.now)
    watch(p, 3600)
    assert p.journal.events() == []


def test_door_and_water_are_told_at_the_next_look(pole: Make) -> None:
    p = pole()
    p.wake()
    p.pins.drive(PINS["door"], 1)
    p.until(p.now + 60)
    assert p.journal.events() == [(DOOR, 1)]
    p.pins.drive(PINS["water"], 1)
    p.pins.drive(PINS["door"], 0)
    p.until(p.now + 120)
    assert p.journal.events() == [(DOOR, 1), (DOOR, 0), (WATER, 1)]
    assert p.state["urgent"] == 1


def test_a_pole_that_leans_is_told_and_one_that_sways_is_not(pole: Make) -> None:
    p = pole()
    p.wake()
    p.tilt.turn(105, 0, 994)  # 6 degrees
    p.wake(30)
    p.tilt.turn(0, 0, 1000)
    p.wake(30)
    p.wake(60)
    assert p.journal.events() == []
    p.tilt.turn(130, 0, 991)
    p.until(p.now + 180)
    assert p.journal.events() == [(TILT, 1)]
    p.until(p.now + 900)
    assert 70 <= p.journal.values()[Q["tilt"]] <= 80


def test_put_away_for_a_contact_and_opened_again_it_goes_on(pole: Make) -> None:
    p = pole(NIGHT)
    p.wake()
    p.role.command(command.DIM, [300, 600], p.now)
    due = p.role.due(p.now)
    kept = p.role.leave()
    assert p.lamp.light == 300, "it burns on while nobody looks"
    p.role = type(p.role)(p.config, p.state, p.journal, kept)
    assert (p.lamp.light, p.role.due(p.now)) == (300, due)
    p.wake(599)
    assert p.lamp.light == 300
    p.wake(1)
    assert p.lamp.light == 1000


def test_a_new_upright_is_taken_where_the_configuration_counts_on(pole: Make) -> None:
    p = pole()
    p.tilt.turn(130, 0, 991)
    p.wake()
    again = pole(upright=1)
    again.tilt.turn(130, 0, 991)
    again.until(again.now + 300)
    assert again.journal.events() == []


def test_a_leak_trips_the_lamp_until_somebody_orders_it_on(pole: Make) -> None:
    p = pole(NIGHT, leakage_trip=1)
    p.wake()
    assert p.lamp.light == 1000
    p.leak(45)
    p.wake(60)
    assert p.journal.events() == [(LEAKAGE, 1)]
    assert p.lamp.light == 0
    p.leak(0)  # with the lamp the leak is gone: it does not come back by itself
    p.wake(60)
    p.wake(60)
    assert p.journal.events() == [(LEAKAGE, 1), (LEAKAGE, 0)]
    assert p.lamp.light == 0
    p.role.command(command.RELAY, [1, 600], p.now)
    p.wake(60)
    assert p.lamp.light == 1000
    p.leak(45)
    p.wake(60)
    assert p.lamp.light == 0, "armed again once the leak was gone"


def test_a_leak_without_the_trip_is_told_only(pole: Make) -> None:
    p = pole(NIGHT)
    p.leak(45)
    p.wake()
    p.leak(27)  # above 80 percent of the threshold: still on
    p.wake(60)
    assert p.journal.events() == [(LEAKAGE, 1)]
    assert p.lamp.light == 1000


def test_a_lost_supply_is_no_failed_lamp(pole: Make) -> None:
    p = pole(NIGHT, lamp_dw=1500, supply_least_mv=170_000)
    watch(p, 120)
    p.pins.microvolts[PINS["supply"]] = 0
    p.lamp.volts_dv = 0
    watch(p, 600)
    assert p.journal.events() == [(POWER_LOST, 1)]
    p.pins.microvolts[PINS["supply"]] = 1_650_000
    p.lamp.volts_dv = 2200
    watch(p, 120)
    assert p.journal.events() == [(POWER_LOST, 1), (POWER_LOST, 0)]


def test_a_supply_that_is_watched_no_longer_is_not_lost(pole: Make) -> None:
    p = pole(supply_least_mv=170_000)
    p.pins.microvolts[PINS["supply"]] = 0
    watch(p, 600)
    assert p.journal.events() == [(POWER_LOST, 1)]
    p.role._config["supply_least_mv"] = 0
    watch(p, 600)
    assert p.journal.events() == [(POWER_LOST, 1), (POWER_LOST, 0)]


def test_nor_is_a_lamp_that_is_watched_no_longer_one_by_day(pole: Make) -> None:
    p = pole()
    p.wake()
    p.lamp.welded = True
    watch(p, 180)
    p.role._config["idle_dw"] = 0
    watch(p, 180)
    assert p.journal.events() == [(BY_DAY, 1), (BY_DAY, 0)]


@pytest.mark.parametrize(
    ("key", "deed"),
    [("leakage_ma", lambda p: p.leak(45)), ("tilt_ddeg", lambda p: p.tilt.turn(700, 0, 700)),
     ("lamp_dw", lambda p: setattr(p.lamp, "failed", True)),
     ("idle_dw", lambda p: setattr(p.lamp, "welded", True))],
)  # fmt: skip
def test_a_threshold_of_zero_is_off(pole: Make, key: str, deed: Callable[[Pole], Any]) -> None:
    p = pole(NOON if key == "idle_dw" else NIGHT, **{"lamp_dw": 1500, key: 0})
    watch(p, 120)
    deed(p)
    watch(p, 900)
    assert p.journal.events() == []


# DALI


def test_dali_gear_follows_the_plan_by_its_curve(pole: Make) -> None:
    p = pole(lamp_driver="dali", dali_address=5)
    p.wake()
    p.role.command(command.DIM, [500, 600], p.now)
    assert p.gear.level == 229
    assert p.lamp.light in range(490, 520)
    p.role.command(command.RELAY, [0, 600], p.now)
    assert p.gear.level == 0
    assert not p.pins.level(PINS["relay"])


def test_the_gear_is_given_its_time_to_wake(pole: Make) -> None:
    """600 ms after its supply it is deaf: too early, and it would stay at its power-on level."""
    p = pole(lamp_driver="dali")
    p.role.command(command.DIM, [250, 600], p.now)
    assert p.gear.level == 203


def test_dali_tells_a_failed_lamp_and_silent_gear(pole: Make) -> None:
    p = pole(NIGHT, lamp_driver="dali", fail_s=60)
    p.wake()
    p.wake(60)
    p.gear.lamp_failed = True
    p.wake(60)
    p.wake(60)
    assert p.journal.events() == [(FAILED, 1)]
    p.gear.lamp_failed = False
    p.wake(60)
    assert p.journal.events() == [(FAILED, 1), (FAILED, 0)]
    p.gear.broken = True
    p.wake(60)
    p.wake(60)
    assert p.journal.events()[-1] == (FAILED, 1)


@pytest.mark.parametrize("fault", ["unpowered line", "torn cable"])
def test_a_dali_line_that_is_dead_leaves_the_relay_its_work(pole: Make, fault: str) -> None:
    p = pole(NIGHT, lamp_driver="dali", fail_s=0)
    if fault == "torn cable":
        p.i2c.dead = True
    else:
        p.dali.unpowered = True
    p.wake()
    assert p.pins.level(PINS["relay"])
    assert p.gear.level == p.gear.power_on_level, "lit, though nobody can tell it how much"
    assert p.journal.events() == [(FAILED, 1)]


def test_gear_that_lost_its_power_is_told_its_level_again(pole: Make) -> None:
    p = pole(lamp_driver="dali", dali_address=5)
    p.role.command(command.DIM, [500, 3600], p.now)
    p.gear._level = p.gear.power_on_level
    p.wake(60)
    assert p.gear.level == 229


def test_two_gear_on_one_line_are_dimmed_and_asked_together(pole: Make) -> None:
    from hil.virtual.sensors.dali import Gear

    p = pole(NIGHT, lamp_driver="dali", fail_s=0)
    other = Gear(6, p.gear._supplied, lambda: p.us)
    p.dali.gear.append(other)
    p.wake()
    p.role.command(command.DIM, [100, 3600], p.now)
    assert (p.gear.level, other.level) == (170, 170)
    p.wake(60)
    assert p.journal.events() == []
    other.lamp_failed = True
    p.wake(60)
    assert p.journal.events() == [(FAILED, 1)]


def test_levels_are_the_standards_curve(pole: Make) -> None:
    pole(lamp_driver="dali")
    from node.sense.dali import level_of

    assert level_of(0) == 0
    for level in range(1, 255):
        light = 10 ** (3 * (level - 1) / 253)
        if light >= 36:  # from there on each level is more than a permille from the next
            assert level_of(round(light)) == level
    for permille in range(1, 1001):
        best = min(range(1, 255), key=lambda n: abs(10 ** (3 * (n - 1) / 253) - permille))
        assert level_of(permille) == best


def test_the_lamp_and_each_poll_beat(pole: Make) -> None:
    heard: list[str] = []
    within: dict[str, int] = {}

    class Beats:
        expect = staticmethod(within.__setitem__)
        beat = staticmethod(heard.append)

    post = pole(watch_s=60, awake_s=120)
    post.role.start(Beats())
    assert within == {"poll": 360_000, "lamp": 360_000}
    for _ in range(3):
        post.wake(60)
    assert heard == ["poll", "lamp"] * 3
