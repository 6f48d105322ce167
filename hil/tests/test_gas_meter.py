"""A gas meter against its wheel, its gas sensor, its battery, and a magnet."""

from typing import Any

import pytest

from hil.fleet import Fleet, Reading
from hil.node import Node
from hil.power import Power
from hil.protocols import Stimulus
from hil.tests import valves

HOUR_S = 3600
HOURLY = {"report_s": HOUR_S, "report_records": 1}
# Pulses of a test come faster than gas would: that is no danger here.
CALM = {**HOURLY, "burst_l_h": 0, "over_flow_l_h": 0}
QUARTER_S = 0.1  # five looks of the ULP at the contacts
LITRES = 10  # of a pulse
GAS_LIMIT_MV, CLEAN_AIR_MV = 1000, 400  # 37.5 % of the lower explosive limit, and none
EMPTY_MV, FULL_MV = 1500, 1800  # at the divider: 3.0 V and 3.6 V

pytestmark = [
    pytest.mark.node("gas-meter", config=CALM),
    pytest.mark.needs("stimulus"),
]


def freeze(fleet: Fleet, node: Node) -> Reading:
    """The next freeze of the register."""
    return fleet.wait_reading(
        node, "gas_volume", 3 * HOUR_S, where=lambda one: one.time_us % (HOUR_S * 10**6) == 0
    )


def turn_back(node: Node, stimulus: Stimulus, times: int) -> None:
    """The wheel's contacts as gas closes them that flows the other way."""
    for _ in range(times):
        for channel, value in (("pulse2", 1), ("pulse", 1), ("pulse2", 0), ("pulse", 0)):
            stimulus.level(channel, value)
            node.wait(QUARTER_S)


@pytest.mark.requirement("K-GAS-01")
def test_pulses_that_fall_into_a_contact_are_counted(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    first = freeze(fleet, node)
    taken_s = stimulus.pulse("pulse", 30)
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.until(lambda: node.asleep, 300)
    node.wait(taken_s)
    then = freeze(fleet, node)
    assert (then.value - first.value, then.quality) == (30 * LITRES, 0)


@pytest.mark.soak
@pytest.mark.requirement("K-GAS-07")
def test_a_freeze_is_the_register_at_its_hour(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    first = freeze(fleet, node)
    node.wait(stimulus.pulse("pulse", 5) + 1)
    mark = fleet.mark()
    to_the_hour = HOUR_S - node.now_us // 10**6 % HOUR_S
    node.wait(to_the_hour + 5)
    node.wait(stimulus.pulse("pulse", 7) + 1)
    node.wait(2 * HOUR_S)
    frozen = [
        (one.value - first.value, one.time_us % (HOUR_S * 10**6))
        for one in fleet.readings(node, "gas_volume", mark)
    ]
    assert frozen[:2] == [(5 * LITRES, 0), (12 * LITRES, 0)]


@pytest.mark.requirement("K-GAS-02")
@pytest.mark.needs("power")
def test_a_supply_that_fails_takes_no_pulse_with_it(
    node: Node, fleet: Fleet, stimulus: Stimulus, power: Power
) -> None:
    node.to("asleep")
    first = freeze(fleet, node)
    node.wait(stimulus.pulse("pulse", 20) + 1)
    stimulus.relay("supply-fail", 1)
    node.wait(1.5)  # its capacitor lasts two seconds
    power.off()
    stimulus.relay("supply-fail", 0)
    power.on()
    fleet.wait_report(node, 900)
    then = freeze(fleet, node)
    assert then.value - first.value == 20 * LITRES


@pytest.mark.requirement("K-GAS-02")
def test_a_reset_takes_no_pulse_with_it(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    node.to("asleep")
    first = freeze(fleet, node)
    node.wait(stimulus.pulse("pulse", 20) + 1)
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.reset("hard")
    assert freeze(fleet, node).value - first.value == 20 * LITRES


@pytest.mark.requirement("K-GAS-03")
def test_a_wheel_that_rocks_counts_nothing(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    node.to("asleep")
    first = freeze(fleet, node)
    for value in [1, 0] * 15:
        stimulus.level("pulse", value)
        node.wait(QUARTER_S)
    assert freeze(fleet, node).value - first.value <= LITRES, "its place in a turn may be the last"


@pytest.mark.requirement("K-GAS-03", "K-ALM-03")
def test_gas_that_flows_backwards_is_told_and_not_sold(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    first = freeze(fleet, node)
    turn_back(node, stimulus, 4)
    fleet.wait_alarm("reverse-flow", node, 300)
    assert freeze(fleet, node).value == first.value
    node.wait(stimulus.pulse("pulse", 5) + 1)
    gone = freeze(fleet, node).value - first.value
    assert 4 * LITRES <= gone <= 5 * LITRES, "the wheel turns on from its place in a turn"
    fleet.wait_over("reverse-flow", node, 2 * HOUR_S)


@pytest.mark.requirement("K-GAS-04", "K-ALM-03")
def test_a_magnet_at_the_contacts_is_told(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    node.to("asleep")
    for channel in ("pulse", "pulse2"):
        stimulus.level(channel, 1)
    fleet.wait_alarm("magnet", node, 300)
    for channel in ("pulse", "pulse2"):
        stimulus.level(channel, 0)
    fleet.wait_over("magnet", node, 2 * HOUR_S)


@pytest.mark.requirement("K-GAS-06")
@pytest.mark.needs("valve")
def test_gas_at_the_sensor_closes_the_valve_before_anybody_is_told(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    valves.open_again(node, stimulus)
    mark = fleet.mark()
    stimulus.voltage("gas", GAS_LIMIT_MV)
    stimulus.level("gas_call", 1)
    fleet.wait_alarm("gas", node, 300)
    alarm = fleet.wait_reading(node, "1006", 60, mark)
    closed = fleet.wait_reading(node, "valve", 60, mark, lambda one: one.value == 1)
    assert closed.received_us == alarm.received_us, "told in one report, so the valve was first"
    assert alarm.time_us <= closed.time_us <= alarm.time_us + 30 * 10**6


def flow(kind: str, gap_ms: int, within_s: float, **watched: int) -> Any:
    """Pulses that far apart; what would be told of another kind is not watched."""
    marks = [pytest.mark.node("gas-meter", config={**HOURLY, **watched})]
    marks += [pytest.mark.soak] if within_s > HOUR_S else []
    return pytest.param(kind, gap_ms, within_s, marks=marks, id=kind)


@pytest.mark.requirement("K-GAS-05")
@pytest.mark.needs("valve")
@pytest.mark.parametrize(
    ("kind", "gap_ms", "within_s"),
    [
        flow("over-flow", 1440, 6.3 * 60, burst_l_h=0),  # 24 m3/h; kapok valve latency
        flow("burst", 1440, 6.3 * 60, over_flow_l_h=0),
        flow("leak", 180_000, 4 * HOUR_S, leak_l_h=100, leak_s=HOUR_S),  # 200 l/h
    ],
)
def test_a_dangerous_flow_is_told_and_closes_the_valve(
    node: Node, fleet: Fleet, stimulus: Stimulus, kind: str, gap_ms: int, within_s: float
) -> None:
    valves.open_again(node, stimulus)
    freeze(fleet, node)
    mark = fleet.mark()
    stimulus.pulse("pulse", 400, gap_ms=gap_ms)
    alarm = fleet.wait_alarm(kind, node, within_s)
    stimulus.pulse("pulse", 0)
    fleet.wait_reading(node, "valve", 60, mark, lambda one: one.value == 1)
    assert alarm["severity"] == "critical"


@pytest.mark.requirement("K-BRN-02", "K-ALM-03")
def test_a_battery_that_is_weak_is_told_while_it_lasts(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    stimulus.voltage("battery", EMPTY_MV)
    fleet.wait_alarm("battery-low", node, 4 * HOUR_S)
    stimulus.voltage("battery", FULL_MV)
    fleet.wait_over("battery-low", node, 4 * HOUR_S)
