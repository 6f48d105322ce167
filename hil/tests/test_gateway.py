"""A gateway and the meters on its RS-485 line: three protocols, and one device that is dead."""

from typing import Any

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import Stimulus

SAMPLE_S = 60
POWER, METER, WATER, DEAD = "17", "000000000416", "12345678901234", "99"
WIRED = {
    "sample_s": SAMPLE_S, "report_s": 120, "report_records": 4, "backoff_most_s": SAMPLE_S,
    "devices": [[1, "sdm120", POWER], [2, "dlt645", METER], [3, "cjt188-water", WATER]],
}  # fmt: skip
WITH_A_DEAD_ONE = {**WIRED, "devices": [*WIRED["devices"], [4, "sdm120", DEAD]]}  # type: ignore[misc]

pytestmark = pytest.mark.needs("stimulus")


def hang(stimulus: Stimulus) -> None:
    """All three, with values that no other of them shows."""
    stimulus.sub_device("sdm120", POWER, {
        "voltage": 230.5, "current": 1.25, "active_power": 288, "power_factor": 1,
        "frequency": 49.98, "energy": 1234.5,
    })  # fmt: skip
    stimulus.sub_device("dlt645", METER, {
        "voltage": 221.7, "current": 3.5, "active_power": 770, "power_factor": 0.95,
        "energy": 98765.43,
    })  # fmt: skip
    stimulus.sub_device("cjt188-water", WATER, {"water_volume": 321.5, "meter_valve": 0})


def wait_value(fleet: Fleet, node: Node, quantity: str, value: int, since: int) -> Any:
    """Until it shows that."""
    return fleet.wait_reading(node, quantity, 900, since, lambda one: one.value == value)


@pytest.mark.requirement("K-GWY-01")
@pytest.mark.node("gateway", config=WIRED)
def test_devices_of_three_protocols_are_read_as_they_show(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    hang(stimulus)
    mark = fleet.mark()
    shown = {
        wait_value(fleet, node, quantity, value, mark).asset_id
        for quantity, value in (("frequency", 4998), ("energy", 9876543), ("water_volume", 321500))
    }
    assert len(shown) == 3, "each is an asset of its own"
    wait_value(fleet, node, "voltage", 2305, mark)
    wait_value(fleet, node, "voltage", 2217, mark)
    stimulus.sub_values(METER, {"energy": 98765.99})
    wait_value(fleet, node, "energy", 9876599, mark)


@pytest.mark.requirement("K-GWY-02", "K-ALM-03")
@pytest.mark.node("gateway", config=WITH_A_DEAD_ONE)
def test_a_dead_device_is_told_and_costs_no_reading_of_another(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    hang(stimulus)
    stimulus.sub_device("sdm120", DEAD, {"frequency": 60}, dead=True)
    mark = fleet.mark()
    wait_value(fleet, node, "frequency", 4998, mark)
    fleet.wait_alarm("device-silent", node, 900)
    node.wait(3 * SAMPLE_S)
    for quantity in ("frequency", "energy", "water_volume"):
        slots = sorted({
            one.time_us // (SAMPLE_S * 10**6)
            for one in fleet.readings(node, quantity, mark)
            if one.quality == 0
        })  # fmt: skip
        assert slots == list(range(slots[0], slots[0] + len(slots)))
    stimulus.sub_values(DEAD, {"frequency": 60}, dead=False)
    wait_value(fleet, node, "frequency", 6000, mark)
    fleet.wait_over("device-silent", node, 900)


@pytest.mark.requirement("K-GWY-02")
@pytest.mark.node("gateway", config=WIRED)
def test_a_noisy_device_is_asked_again_until_its_answer_is_whole(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    hang(stimulus)
    stimulus.sub_values(METER, {"energy": 55.55}, spoil_every=2)
    mark = fleet.mark()
    wait_value(fleet, node, "energy", 5555, mark)
    node.wait(4 * SAMPLE_S)
    fleet.wait_report(node, 300)
    shown = {one.value for one in fleet.readings(node, "energy", mark)}
    assert shown <= {5555, 123450}, "nothing that a spoilt answer said"
