"""A gas meter's safety monitoring: each danger begins where and when it should, ends, closes."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import node.roles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from valve_rig import OPENED_UP, PINS, SHUT, START_MS, Meter, World, firmware

LEAK, OVER, LONG, BURST, NO_USE, GAS, TILT, QUAKE, BATTERY, COVER = range(1, 11)
FAULT, CLOSED = 23, 15
HOUR, DAY = 3600, 86400
PULSE = 10  # litres
START = START_MS // 1000 + 3600 - START_MS // 1000 % 3600


class House:
    """Gas that flows through a meter: looks at full hours and at every `per_wake` pulses."""

    def __init__(self, meter: Meter, per_wake: int = 1) -> None:
        self.meter = meter
        self.per_wake = per_wake
        self.pulses = 0
        self.passed = 0  # in litres times 3600: since the last pulse
        self.began: dict[int, int] = {}
        self._at(START)
        meter.look()

    def _at(self, second: int) -> None:
        self.meter.world.ms = second * 1000

    def flow(self, litres_an_hour: int, seconds: int) -> "House":
        """So much for so long, valve permitting."""
        world = self.meter.world
        now, end = world.now, world.now + seconds
        while now < end:
            hour = now - now % HOUR + HOUR
            rate = litres_an_hour if world.position < SHUT else 0
            left = PULSE * 3600 - self.passed
            pulse = now - (-left // rate) if rate else end + 1
            wanted = self.meter.state.get("look", 0)
            timed = wanted if wanted > now else end + 1
            then = min(hour, pulse, end, timed)
            self.passed += rate * (then - now)
            now = then
            self._at(now)
            looked = False
            if self.passed >= PULSE * 3600:
                self.passed -= PULSE * 3600
                self.pulses += 1
                self.meter.state.set("pulses", self.pulses)
                looked = self.pulses % self.per_wake == 0
            if now in (hour, timed):
                self.look()
            elif looked:
                self.look(pulse=True)
        return self

    def look(self, *, pulse: bool = False) -> None:
        self.meter.look(pulse=pulse)
        for event, value in self.meter.journal.events():
            if value:
                self.began.setdefault(event, self.meter.world.now - START)

    def events(self) -> list[tuple[int, int]]:
        return self.meter.journal.events()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make(world: World) -> Iterator[Any]:
    with firmware(world) as modules:

        def made(per_wake: int = 1, **config: Any) -> House:
            return House(Meter(world, modules, **config), per_wake)

        yield made


def household(house: House, days: int) -> None:
    """A boiler in the morning and the evening, a cooker at noon, nights in which nothing flows."""
    for _ in range(days):
        house.flow(0, 6 * HOUR).flow(2500, HOUR).flow(0, 5 * HOUR).flow(400, HOUR)
        house.flow(0, 5 * HOUR).flow(3200, 2 * HOUR).flow(200, 2 * HOUR).flow(0, 2 * HOUR)


@pytest.mark.parametrize("per_wake", [1, 10, 10_000])
def test_an_ordinary_household_raises_nothing(make: Any, per_wake: int) -> None:
    house = make(per_wake)
    household(house, 7)
    assert house.events() == []
    assert house.meter.world.position == OPENED_UP


@pytest.mark.parametrize("per_wake", [1, 10, 10_000])
@pytest.mark.parametrize("litres", [12, 30])
def test_a_small_flow_that_never_ends_is_a_leak_and_closes(
    make: Any, per_wake: int, litres: int
) -> None:
    house = make(per_wake)
    house.flow(litres, 3 * DAY)
    assert DAY <= house.began[LEAK] <= DAY + 4 * HOUR
    assert house.meter.world.position == SHUT
    assert house.meter.journal.events()[:2] == [(LEAK, 1), (CLOSED, 1)]
    assert (LEAK, 0) in house.events(), "behind a closed valve it ends"


def test_a_leak_is_one_while_the_household_goes_on(make: Any) -> None:
    house = make()
    for _ in range(2):
        house.flow(15, 6 * HOUR).flow(2515, HOUR).flow(15, 10 * HOUR).flow(1215, HOUR)
        house.flow(15, 6 * HOUR)
    assert DAY <= house.began[LEAK] <= DAY + 2 * HOUR


def test_one_pause_a_day_is_no_leak(make: Any) -> None:
    house = make()
    for _ in range(5):
        house.flow(20, 20 * HOUR).flow(0, 4 * HOUR)
    assert house.events() == []


def test_the_record_says_how_much_flowed(make: Any) -> None:
    house = make()
    house.flow(30, 2 * DAY)
    leak = next(record for record in house.meter.journal.records() if record[2] == 1001)
    assert leak[4] == 8
    assert 25 <= leak[5] <= 35
    closed = next(record for record in house.meter.journal.records() if record[2] == 1015)
    assert closed[3:] == [1, 11, 1, 43, LEAK], "with it the event that was the reason"


@pytest.mark.parametrize("per_wake", [1, 10])
def test_over_flow_closes_within_its_time_and_some_pulses(make: Any, per_wake: int) -> None:
    house = make(per_wake, burst_l_h=0)
    house.flow(0, 1800).flow(9000, 600)
    assert 1860 <= house.began[OVER] <= 1860 + 60 + per_wake * 8
    assert house.meter.world.position == SHUT


def test_a_co_processor_that_wakes_every_forty_pulses_is_quick_enough(make: Any) -> None:
    """The first wake cannot tell since when gas flows: it has the node look again soon."""
    house = make(40)
    house.flow(0, 1800).flow(9000, 600)
    assert house.began[BURST] <= 1800 + 160 + 60
    assert house.meter.world.position == SHUT


def test_so_it_is_for_over_flow(make: Any) -> None:
    house = make(40, burst_l_h=0)
    house.flow(0, 1800).flow(9000, 600)
    assert house.began[OVER] <= 1800 + 160 + 60 + 5


def test_ordinary_use_costs_few_wakes_more(make: Any) -> None:
    house = make(40)
    looks: list[bool] = []
    real = house.look

    def look(*, pulse: bool = False) -> None:
        looks.append(pulse)
        real(pulse=pulse)

    house.look = look
    household(house, 7)
    timed = len(looks) - 7 * 24 - house.pulses // 40
    assert timed < 7 * 8


def test_a_flow_at_the_meters_limit_is_none_too_many(make: Any) -> None:
    house = make(burst_l_h=0)
    house.flow(7000, 2 * HOUR)
    assert OVER not in house.began


def test_a_burst_is_judged_against_the_hour_before(make: Any) -> None:
    house = make()
    house.flow(3000, 5 * HOUR).flow(7000, 600)
    assert BURST not in house.began, "4000 more than there was"
    house = make()
    house.flow(0, 5 * HOUR).flow(6500, 600)
    assert 5 * HOUR + 20 <= house.began[BURST] <= 5 * HOUR + 60
    assert house.meter.world.position == SHUT


def test_one_pulse_between_two_looks_is_no_flow(make: Any) -> None:
    """Two looks within a second around a pulse: 36,000 l/h to who divides without a thought."""
    house = make(burst_s=0, over_flow_s=0)
    world = house.meter.world
    for _ in range(5):
        world.ms += 1800_000
        house.look()
        house.pulses += 1
        house.meter.state.set("pulses", house.pulses)
        world.ms += 1000
        house.look(pulse=True)
    assert house.events() == []


def test_long_use_is_told_and_closes_where_it_is_said_to(make: Any) -> None:
    house = make()
    house.flow(600, 12 * HOUR)
    assert 10 * HOUR <= house.began[LONG] <= 11 * HOUR
    assert house.meter.world.position == OPENED_UP, "an event that closes nothing by default"
    house.flow(0, 2 * HOUR)
    assert (LONG, 0) in house.events()
    house = make(close_on=[LONG])
    house.flow(600, 12 * HOUR)
    assert house.meter.world.position == SHUT


def test_no_use_begins_after_its_days_and_ends_with_the_first_pulse(make: Any) -> None:
    house = make(no_use_d=3)
    house.flow(100, HOUR).flow(0, 4 * DAY)
    assert 3 * DAY + 2 * HOUR >= house.began[NO_USE] >= 3 * DAY
    house.flow(1000, 600)
    assert house.events() == [(NO_USE, 1), (NO_USE, 0)]


def test_thresholds_of_nought_watch_nothing(make: Any) -> None:
    house = make(leak_l_h=0, long_use_l_h=0, over_flow_l_h=0, burst_l_h=0, no_use_d=0)
    house.flow(9000, 6 * HOUR).flow(20, 3 * DAY)
    assert house.events() == []


def test_between_the_two_limits_what_is_on_stays_on(make: Any) -> None:
    house = make(close_on=[], burst_l_h=0)
    house.flow(9000, 600)
    assert house.events() == [(OVER, 1)]
    house.flow(6500, 1200)  # over 80 % of the limit
    assert house.events() == [(OVER, 1)]
    house.flow(4000, 1200)
    assert house.events() == [(OVER, 1), (OVER, 0)]


def test_after_power_was_lost_the_flow_is_judged_anew(make: Any) -> None:
    house = make()
    house.flow(30, DAY - HOUR)
    house.meter.boot()
    house.meter.start()
    house.meter.state.set("pulses", house.pulses)
    house.flow(30, 23 * HOUR)
    assert house.events() == []
    house.flow(30, 5 * HOUR)
    assert (LEAK, 1) in house.events()


def test_a_clock_or_a_register_that_goes_back_raises_nothing(make: Any) -> None:
    house = make()
    house.flow(30, 20 * HOUR)
    house.meter.world.ms -= 10 * HOUR * 1000
    house.look()
    house.pulses = 0
    house.meter.state.set("pulses", 0)
    house.flow(30, 20 * HOUR)
    assert house.events() == []


def test_when_it_is_reopened_the_same_leak_is_found_again(make: Any) -> None:
    house = make()
    house.flow(30, 2 * DAY)
    meter = house.meter
    assert meter.world.position == SHUT
    assert meter.command(2, [3600], meter.world.now) == (0, 1), "no danger that stands"
    meter.world.ms += 1000
    meter.world.pressed.append((meter.world.ms, meter.world.ms + 4000))
    meter.look(button=True)
    assert meter.world.position == OPENED_UP
    meter.world.ms += (HOUR - meter.world.now % HOUR) * 1000
    house.flow(30, 30 * HOUR)
    assert meter.world.position == SHUT
    assert [event for event, value in house.events() if value] == [LEAK, CLOSED, LEAK, CLOSED]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 3, 60, 900, 2500]), st.integers(60, 20_000)), max_size=12
    )
)
@settings(max_examples=15, deadline=None)
def test_no_leak_while_nothing_flows_for_two_hours_in_each_half_day(
    uses: list[tuple[int, int]],
) -> None:
    """Whatever a household does: a proven pause ends the run."""
    world = World()
    with firmware(world) as modules:
        house = House(Meter(world, modules, long_use_l_h=0, burst_l_h=0))
        for rate, seconds in uses:
            house.flow(rate, min(seconds, 10 * HOUR)).flow(0, 4 * HOUR)
        assert LEAK not in house.began
        assert OVER not in house.began


# Inputs other than the flow


def inputs(world: World, modules: Any, **config: Any) -> Meter:
    pins = {**PINS, "gas": 2, "battery": 8, "cover": 12}
    world.microvolts.update({2: 400_000, 8: 1_800_000})
    return Meter(world, modules, pins=pins, **config)


def later(meter: Meter, seconds: int) -> list[tuple[int, int]]:
    meter.world.ms += seconds * 1000
    meter.look()
    return meter.journal.events()


@pytest.fixture
def meter(world: World) -> Iterator[Meter]:
    with firmware(world) as modules:
        yield inputs(world, modules)


def test_gas_for_its_time_closes_at_once(meter: Meter) -> None:
    meter.world.microvolts[2] = 400_000 + 160_000  # 10 % of the lower explosive limit
    assert later(meter, 60) == []
    assert meter.state.get("look") == meter.world.now + 5, "it wants to look when its time is over"
    assert later(meter, 5) == [(GAS, 1), (CLOSED, 1)]
    assert meter.world.position == SHUT
    assert meter.journal.records()[0][2:] == [1006, 1, 10, 100]
    meter.world.microvolts[2] = 400_000 + 90_000
    assert later(meter, 60)[-1] == (CLOSED, 1), "between the two limits"
    meter.world.microvolts[2] = 400_000
    assert later(meter, 60)[-1] == (GAS, 0)
    assert meter.world.position == SHUT, "what is over opens nothing"


def test_a_whiff_of_gas_is_none(meter: Meter) -> None:
    for _ in range(5):
        meter.world.microvolts[2] = 900_000
        later(meter, 60)
        meter.world.microvolts[2] = 400_000
        later(meter, 3)
    assert meter.journal.events() == []


def test_a_low_battery_is_told_and_refuses_to_open_what_it_may_not_close(meter: Meter) -> None:
    meter.world.microvolts[8] = 1_590_000  # 3180 mV
    later(meter, 10)
    assert later(meter, 3600) == [(BATTERY, 1)]
    meter.command(1, [], meter.world.now)
    assert meter.command(2, [600], meter.world.now) == (11, 0)
    meter.world.microvolts[8] = 1_620_000  # 3240: not yet
    assert later(meter, 60)[-1] == (BATTERY, 1)
    meter.world.microvolts[8] = 1_660_000
    assert later(meter, 60)[-1] == (BATTERY, 0)


def test_a_cover_has_a_time_both_ways(meter: Meter) -> None:
    meter.world.inputs[12] = 1
    assert later(meter, 10) == []
    assert later(meter, 2) == [(COVER, 1)]
    meter.world.inputs[12] = 0
    assert later(meter, 10) == [(COVER, 1)]
    assert meter.state.get("look") == meter.world.now + 10
    assert later(meter, 10) == [(COVER, 1), (COVER, 0)]


def test_a_contact_that_is_closed_already_does_not_wake_the_node_again(meter: Meter) -> None:
    assert [pin.number for pin in meter.safety().callers()] == [12]
    meter.world.inputs[12] = 1
    meter.look()
    assert meter.safety().callers() == []
    assert meter.safety().calling()
    meter.world.pressed.append((meter.world.ms, meter.world.ms + 1000))
    assert not meter.safety().calling(), "it was the button"


@pytest.fixture
def hung(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    """A meter with an accelerometer whose word is in `felt`."""
    fake: Any = types.ModuleType("node.roles.gas_motion")
    fake.felt = [0, False, False]

    def feel(config: dict[str, Any], shaken: bool) -> tuple[int, bool]:
        if fake.felt[2]:
            raise OSError(116)
        return fake.felt[0], fake.felt[1]

    fake.feel = feel
    with firmware(world) as modules:
        monkeypatch.setitem(sys.modules, "node.roles.gas_motion", fake)
        monkeypatch.setitem(vars(node.roles), "gas_motion", fake)
        meter = Meter(world, modules, pins={**PINS, "scl": 14, "sda": 13, "shock": 11})
        meter.felt = fake.felt  # type: ignore[attr-defined]
        yield meter


def test_tilt_and_earthquake(hung: Any) -> None:
    hung.felt[0] = 120
    later(hung, 10)
    assert later(hung, 60) == [(TILT, 1)]
    hung.felt[0] = 60
    assert later(hung, 60) == [(TILT, 1)]
    hung.felt[0], hung.felt[1] = 10, True
    assert later(hung, 60) == [(TILT, 1), (TILT, 0), (QUAKE, 1), (CLOSED, 1)]
    assert hung.world.position == SHUT
    hung.felt[1] = False
    later(hung, 10)
    assert later(hung, 599)[-1] == (CLOSED, 1)
    assert hung.command(2, [600], hung.world.now) == (10, QUAKE)
    assert later(hung, 1)[-1] == (QUAKE, 0)
    assert hung.command(2, [600], hung.world.now) == (0, 1)


def test_an_accelerometer_that_does_not_answer_is_told_and_closes_nothing(hung: Any) -> None:
    hung.felt[2] = True
    assert later(hung, 10) == [(FAULT, 1)]
    assert later(hung, 10) == [(FAULT, 1)]
    hung.felt[2] = False
    assert later(hung, 10) == [(FAULT, 1), (FAULT, 0)]
    assert hung.world.position == OPENED_UP


def test_a_danger_whose_record_the_journal_refuses_is_seen_again(meter: Meter) -> None:
    meter.journal.full = True
    meter.world.microvolts[2] = 900_000
    later(meter, 60)
    later(meter, 5)
    assert meter.world.position == SHUT, "closing does not wait for room"
    meter.journal.full = False
    later(meter, 60)
    assert (GAS, 1) in later(meter, 10)


@pytest.fixture
def called(world: World) -> Iterator[Meter]:
    """A meter whose gas sensor and cover have lines of their own."""
    with firmware(world) as modules:
        world.microvolts[2] = 400_000
        yield Meter(world, modules, pins={**PINS, "gas": 2, "cover": 12, "gas_call": 21})


def test_a_line_that_rises_in_a_wake_for_pulses_is_looked_at_in_it(called: Meter) -> None:
    called.look()
    called.world.microvolts[2], called.world.inputs[21] = 900_000, 1
    called.world.ms += 1000
    called.look(pulse=True)
    assert called.state.get("look") == called.world.now + 5
    called.world.ms += 5000
    called.look(pulse=True)
    assert called.world.position == SHUT


def test_a_line_that_rises_behind_the_look_ends_the_sleep_at_once(called: Meter) -> None:
    called.look(pulse=True)
    called.world.inputs[12] = 1
    assert [pin.number for pin in called.safety().callers()] == [12, 21]
    called.look()
    assert [pin.number for pin in called.safety().callers()] == [21], "it would never sleep again"


def test_a_time_that_is_over_as_a_pulse_comes_is_not_lost(meter: Meter) -> None:
    meter.world.microvolts[2] = 900_000
    meter.look()
    meter.world.ms += 6000
    meter.look(pulse=True)
    assert meter.journal.events() == [(GAS, 1), (CLOSED, 1)]
    assert not 0 < meter.state.get("look") <= meter.world.now, "it would wake the node for ever"


def test_what_closes_the_valve_waits_for_no_bound_on_contacts(meter: Meter) -> None:
    meter.world.microvolts[2] = 900_000
    later(meter, 60)
    assert not meter.state.get("urgent")
    later(meter, 5)
    assert meter.state.get("urgent") == 2
    meter.world.inputs[12] = 1
    later(meter, 60)
    later(meter, 2)
    assert meter.journal.events()[-1] == (COVER, 1)
    assert meter.state.get("urgent") == 2


def test_a_cut_wire_is_a_fault_and_not_the_end_of_gas(meter: Meter) -> None:
    microvolts = meter.world.microvolts
    microvolts[2] = 900_000
    later(meter, 60)
    later(meter, 5)
    microvolts[2] = 0
    assert later(meter, 60) == [(GAS, 1), (CLOSED, 1), (FAULT, 1)]
    assert meter.command(2, [600], meter.world.now) == (10, GAS)
    microvolts[2] = 370_000  # 3.7 mA
    assert later(meter, 60)[-1] == (FAULT, 1)
    microvolts[2] = 400_000
    assert later(meter, 60)[3:] == [(GAS, 0), (FAULT, 0)]
    microvolts[2] = 370_000
    assert later(meter, 60)[-1] == (FAULT, 0)
    assert len(meter.journal.events()) == 5


@pytest.mark.parametrize(
    ("code", "key"), [(GAS, "gas_permille"), (BATTERY, "battery_low_mv"), (COVER, "cover_s")]
)
def test_what_is_watched_no_longer_is_over_and_locks_nothing(
    meter: Meter, code: int, key: str
) -> None:
    meter.world.microvolts.update({2: 900_000, 8: 1_500_000})
    meter.world.inputs[12] = 1
    meter.config["close_on"] = [code]
    later(meter, 60)
    later(meter, 3600)
    assert meter.command(1, [], meter.world.now)[0] == 0
    assert meter.command(2, [600], meter.world.now)[0] != 0
    for other in ("gas_permille", "battery_low_mv", key):
        meter.config[other] = 0
    assert meter.command(2, [600], meter.world.now) == (0, 1)
    assert meter.journal.events()[-1][1] == 0
    assert code not in meter.state.get("events")


@pytest.mark.parametrize("keys", [["tilt_ddeg"], ["quake_mg"], ["tilt_ddeg", "quake_mg"]])
def test_so_it_is_for_tilt_and_earthquake(hung: Any, keys: list[str]) -> None:
    hung.felt[0], hung.felt[1] = 120, True
    later(hung, 10)
    later(hung, 60)
    assert sorted(hung.state.get("events")) == [TILT, QUAKE, CLOSED]
    for key in keys:
        hung.config[key] = 0
    later(hung, 60)
    for code, key in ((TILT, "tilt_ddeg"), (QUAKE, "quake_mg")):
        assert (code in hung.state.get("events")) == (key not in keys)


def test_so_it_is_for_the_flow(make: Any) -> None:
    house = make(close_on=[], no_use_d=1, burst_l_h=0)
    house.flow(0, 2 * DAY).flow(9000, 600)
    house.meter.config.update(over_flow_l_h=0, no_use_d=0)
    house.look()
    assert house.events()[-2:] == [(OVER, 1), (OVER, 0)]
    assert house.meter.state.get("events") == []
