"""A manhole against water, rain, gas and whoever lifts its cover."""

from itertools import pairwise

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import Stimulus

SAMPLE_S = 600
CONTACT_S = 60.0  # of a battery node, from its wake to the receipt
EVERY_SAMPLE = {
    "sample_s": SAMPLE_S, "rising_s": 120, "storm_s": 60, "report_s": SAMPLE_S,
    "report_records": 1, "full_scale": 5000, "level_high_mm": 1500, "jump_mm_h": 0,
}  # fmt: skip
FULL_MM, NONE_UA, SPAN_UA = 5000, 4000, 16_000
CUT_UA, SHORT_UA = 2000, 21_500  # NAMUR NE 43
OUT_OF_RANGE = 4  # of level_flags
ERROR_MM = 25
STORM = 2  # of sampling
GOOD, SUSPECT = 0, 2

pytestmark = pytest.mark.needs("stimulus")


def fitted(*sensors: str, **more: object) -> pytest.MarkDecorator:
    """A manhole with these sensors beside its level."""
    return pytest.mark.node("manhole", config={**EVERY_SAMPLE, "fitted": list(sensors), **more})


def water(stimulus: Stimulus, millimetres: int) -> None:
    """The level sensor's loop as it is at such a level."""
    stimulus.current("level", NONE_UA + SPAN_UA * millimetres // FULL_MM)


def wait_level(fleet: Fleet, node: Node, millimetres: int) -> None:
    """Until it says that, within half a per cent of its sensor's span, and means it."""
    fleet.wait_reading(
        node, "level", 3 * SAMPLE_S,
        where=lambda one: abs(one.value - millimetres) <= ERROR_MM and one.quality == GOOD,
    )  # fmt: skip


@pytest.mark.requirement("K-DRN-01")
@fitted()
@pytest.mark.start("off")
def test_a_level_by_a_current_loop_is_right(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    water(stimulus, 1200)
    node.to("asleep")
    for millimetres in (400, 1300):
        water(stimulus, millimetres)
        wait_level(fleet, node, millimetres)


@pytest.mark.requirement("K-DRN-02")
@fitted(level_by="ultrasonic", mount_mm=3000)
@pytest.mark.needs("virtual")  # a bench has a wall in front of its sensor, or none
def test_a_level_by_ultrasound_is_right(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    node.to("asleep")
    for distance in (2500, 1900):
        stimulus.do(distance=distance)
        wait_level(fleet, node, 3000 - distance)


@pytest.mark.requirement("K-DRN-03", "K-ALM-03")
@fitted()
@pytest.mark.start("off")
def test_a_cut_and_a_shorted_loop_are_faults_and_no_levels(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    water(stimulus, 800)
    node.to("asleep")
    for microamperes in (CUT_UA, SHORT_UA):
        mark = fleet.mark()
        stimulus.current("level", microamperes)
        flags = fleet.wait_reading(node, "level_flags", 3 * SAMPLE_S, mark)
        assert (flags.value & OUT_OF_RANGE, flags.quality) == (OUT_OF_RANGE, SUSPECT)
        fleet.wait_alarm("sensor-fault", node, 6 * SAMPLE_S)
        bad = [one for one in fleet.readings(node, "level", mark) if abs(one.value - 800) > 30]
        assert {one.quality for one in bad} == {SUSPECT}
        water(stimulus, 800)
        fleet.wait_over("sensor-fault", node, 6 * SAMPLE_S)


@pytest.mark.requirement("K-DRN-04", "K-ALM-01")
@fitted()
@pytest.mark.start("off")
def test_water_that_rises_is_looked_at_more_often_and_told_in_time(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    water(stimulus, 400)
    node.to("asleep")
    wait_level(fleet, node, 400)
    mark = fleet.mark()
    water(stimulus, 1600)
    fleet.wait_alarm("level-high", node, SAMPLE_S + CONTACT_S)
    assert fleet.wait_reading(node, "sampling", CONTACT_S, mark).value == STORM
    node.wait(20 * 60)
    times = [one.time_us for one in fleet.readings(node, "level", mark) if one.value > 1500]
    assert len(times) >= 10
    assert max(b - a for a, b in pairwise(times[:11])) <= 61 * 10**6


@pytest.mark.requirement("K-DRN-05", "K-ALM-01", "K-ALM-03")
@fitted("cover")
def test_a_cover_that_is_lifted_is_told_at_once(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    stimulus.level("cover", 1)
    fleet.wait_alarm("cover-moved", node, CONTACT_S)
    stimulus.level("cover", 0)
    fleet.wait_over("cover-moved", node, 3 * SAMPLE_S)


@pytest.mark.requirement("K-DRN-08")
@fitted("water")
def test_water_in_the_chamber_is_told_at_once(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    stimulus.level("water", 1)
    fleet.wait_alarm("chamber-water", node, CONTACT_S)
    stimulus.level("water", 0)


@pytest.mark.requirement("K-DRN-06")
@fitted("rain", rain_mm_h=0)
def test_each_tip_of_the_rain_gauge_counts_once(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    before = fleet.wait_reading(node, "rain", 3 * SAMPLE_S)
    node.wait(stimulus.pulse("rain", 15, width_ms=500, gap_ms=4500) + 1)
    node.wait(2 * SAMPLE_S)
    after = fleet.wait_reading(node, "rain", 3 * SAMPLE_S)
    assert after.value - before.value == 15 * 2  # 0.2 mm each


@pytest.mark.requirement("K-DRN-07")
@fitted("h2s", "ch4", gas_s=SAMPLE_S)
@pytest.mark.start("off")
def test_gases_in_a_manhole_are_told(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    water(stimulus, 400)
    stimulus.current("h2s", 4000)
    stimulus.current("ch4", 4000)
    node.to("asleep")
    fleet.wait_reading(node, "h2s", 3 * SAMPLE_S, where=lambda one: one.value < 10)
    stimulus.current("h2s", 4000 + 16_000 * 20 // 100)
    stimulus.current("ch4", 4000 + 16_000 * 40 // 100)
    fleet.wait_alarm("h2s", node, SAMPLE_S + 2 * CONTACT_S)
    fleet.wait_alarm("ch4", node, SAMPLE_S + 2 * CONTACT_S)
    stimulus.current("h2s", 4000)
    stimulus.current("ch4", 4000)
