"""The valve of a gas meter: who may close it, and that nobody opens it from afar."""

from typing import Any

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.power import Power
from hil.protocols import Stimulus
from hil.tests import valves

DRIVE_S = 15  # `valve_drive_s`: the motor's limit
CONTACT_S = 60.0
HOLD_S = 4  # longer than the three seconds of a press that opens
ARMED_S = 120
HOUR_S = 3600
STALLED = 3  # where a valve is: wire/quantity.py
NOT_ARMED = 8  # docs/protocol.md, what became of an item

pytestmark = pytest.mark.needs("stimulus", "valve")


@pytest.fixture(autouse=True)
def opened(node: Node, stimulus: Stimulus) -> None:
    """Each test begins with a valve that is open, and a node that sleeps."""
    valves.open_again(node, stimulus)


def valve(stimulus: Stimulus) -> dict[str, Any]:
    """`position`, `closed`, `openings`, `runs`."""
    return stimulus.do(valve={})


def command(node: Node, fleet: Fleet, name: str, *arguments: int) -> dict[str, Any]:
    """Ask, approve and deliver it; what became of it."""
    sent = fleet.send(node, name, *arguments)
    fleet.approve(sent)
    node.wake()
    return fleet.wait_command(sent, node, HOUR_S)


def hold_button(node: Node, stimulus: Stimulus) -> None:
    """As somebody at the meter does who wants gas."""
    stimulus.level("button", 1)
    node.wait(HOLD_S)
    stimulus.level("button", 0)
    node.wait(DRIVE_S + CONTACT_S)


@pytest.mark.requirement("K-VLV-01")
def test_a_valve_closes_with_the_contact_that_brings_the_command(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    sent = fleet.send(node, "valve-close")
    fleet.approve(sent)
    began_us = node.now_us
    node.wake()
    node.until(lambda: valve(stimulus)["closed"], CONTACT_S + DRIVE_S)
    assert node.now_us - began_us < (CONTACT_S + DRIVE_S) * 10**6
    assert fleet.wait_command(sent, node, HOUR_S)["state"] == "executed"


@pytest.mark.requirement("K-VLV-05")
def test_a_valve_needs_a_second_person(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    fleet.send(node, "valve-close")
    node.wake()
    node.wait(CONTACT_S + DRIVE_S)
    assert valve(stimulus)["position"] == 0


@pytest.mark.requirement("K-VLV-02")
def test_a_hand_alone_opens_no_valve(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    assert command(node, fleet, "valve-close")["state"] == "executed"
    hold_button(node, stimulus)
    assert valve(stimulus)["closed"]


@pytest.mark.requirement("K-VLV-02")
def test_leave_alone_opens_no_valve_and_with_it_a_hand_does(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    assert command(node, fleet, "valve-close")["state"] == "executed"
    assert command(node, fleet, "valve-arm", ARMED_S)["state"] == "executed"
    node.wait(ARMED_S // 4)
    assert valve(stimulus)["closed"]
    hold_button(node, stimulus)
    assert valve(stimulus)["position"] == 0
    assert valve(stimulus)["openings"] == 1


@pytest.mark.requirement("K-VLV-02")
def test_leave_to_open_ends_with_its_time(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    assert command(node, fleet, "valve-close")["state"] == "executed"
    assert command(node, fleet, "valve-arm", ARMED_S)["state"] == "executed"
    node.wait(ARMED_S + 1)
    hold_button(node, stimulus)
    assert valve(stimulus)["closed"]
    assert valve(stimulus)["openings"] == 0


@pytest.mark.requirement("K-VLV-02", "K-CMD-03")
def test_no_leave_is_given_in_advance_and_who_asked_for_it_is_told_why(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    told = command(node, fleet, "valve-arm", ARMED_S)
    assert (told["state"], told["result"]) == ("refused", NOT_ARMED)
    assert told["text"]
    assert valve(stimulus)["position"] == 0


@pytest.mark.requirement("K-VLV-03")
def test_a_valve_that_is_stuck_is_given_up_in_time_and_told(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    stimulus.do(valve={"jam": 500})
    told = command(node, fleet, "valve-close")
    assert (told["state"], told["detail"]) == ("refused", STALLED), "by its current, not by time"
    fleet.wait_alarm("valve-fault", node, CONTACT_S)
    assert stimulus.read("valve_close") == 0
    assert not valve(stimulus)["closed"]


@pytest.mark.requirement("K-VLV-04")
@pytest.mark.needs("power")
def test_a_power_cut_while_it_closes_leaves_it_closed(
    node: Node, fleet: Fleet, stimulus: Stimulus, power: Power
) -> None:
    sent = fleet.send(node, "valve-close")
    fleet.approve(sent)
    node.wake()
    node.until(lambda: valve(stimulus)["position"] > 300, CONTACT_S, step_s=0.2)
    power.off()
    power.on()
    node.until(lambda: valve(stimulus)["closed"], CONTACT_S)
