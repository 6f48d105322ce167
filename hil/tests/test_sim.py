"""What may be wrong with a SIM, and how a node tells one fault from the other."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl, Stimulus

AWAKE_S = 300
AT_ERROR, ATTACH_TIMEOUT, REFUSED = 12, 14, 15  # firmware/node/errors.py, link/registration.py
ABSENT, PIN, PUK = 10, 11, 12  # 3GPP TS 27.007, 9.2.1
ILLEGAL_UE = 3  # EMM cause, 3GPP TS 24.301, 9.9.3.9
HOUR_S = 3600
HOURLY = {"report_s": HOUR_S, "report_records": 1, "burst_l_h": 0, "over_flow_l_h": 0}
HASTE = 60  # an answer that nobody will give is waited for so many times faster

pytestmark = [pytest.mark.node("gas-meter", config=HOURLY), pytest.mark.needs("modem-twin")]


def try_in_vain(node: Node, modem: ModemControl) -> None:
    """The hour's contact is tried, and given up."""
    at = modem.mark()
    node.until(lambda: modem.said("^AT", at, "host"), 3 * HOUR_S, step_s=10)
    node.until(lambda: node.asleep, AWAKE_S)


def told(node: Node, fleet: Fleet) -> tuple[int, int]:
    """Error and cause of the newest contact that failed, as the next report tells them."""
    fleet.wait_report(node, 2 * HOUR_S)  # nobody presses anything
    status = fleet.status(node)["status"]
    return status["6"], status.get("7", 0)


@pytest.mark.requirement("K-SIM-01")
def test_a_missing_sim_is_told_from_a_missing_network(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set(sim="absent")
    try_in_vain(node, modem)
    modem.set(sim="ready")
    assert told(node, fleet) == (AT_ERROR, ABSENT)


@pytest.mark.requirement("K-SIM-02")
def test_a_pin_is_never_guessed(node: Node, fleet: Fleet, modem: ModemControl) -> None:
    node.to("asleep")
    at = modem.mark()
    modem.set(sim="pin")
    try_in_vain(node, modem)
    assert not modem.said(r"^AT\+CPIN=", at, "host")
    modem.set(sim="ready")
    assert told(node, fleet) == (AT_ERROR, PIN)


@pytest.mark.soak
@pytest.mark.requirement("K-SIM-03")
def test_a_sim_of_another_device_is_told_and_not_tried_for_hours(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set(sim="illegal")
    modem.event("reboot")  # who changes a card takes the modem's supply
    try_in_vain(node, modem)
    at, mark = modem.mark(), fleet.mark()
    node.wait(5 * HOUR_S)
    assert not modem.said("^AT", at, "host"), "only a hand heals that"
    modem.set(sim="ready")
    modem.event("reboot")
    fleet.wait_reading(node, "gas_volume", 4 * HOUR_S, mark)
    status = fleet.status(node)["status"]
    assert (status["6"], status["7"]) == (REFUSED, ILLEGAL_UE)


@pytest.mark.requirement("K-SIM-03")
def test_an_operator_that_lets_nobody_through_is_told_from_a_missing_network(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set(sim="not-on-whitelist")
    node.hurry(HASTE)
    try_in_vain(node, modem)
    modem.set(sim="ready")
    node.hurry(1)
    error, _ = told(node, fleet)
    assert error not in (0, AT_ERROR, ATTACH_TIMEOUT, REFUSED)


@pytest.mark.soak
@pytest.mark.requirement("K-SIM-04")
@pytest.mark.needs("stimulus")
def test_a_locked_sim_does_not_stop_the_register(
    node: Node, fleet: Fleet, modem: ModemControl, stimulus: Stimulus
) -> None:
    first = fleet.wait_reading(node, "gas_volume", 3 * HOUR_S)
    modem.set(sim="locked")
    mark, hours = fleet.mark(), 4
    for _ in range(hours):
        node.wait(stimulus.pulse("pulse", 3))
        node.wait(HOUR_S - 3)
    modem.set(sim="ready")
    fleet.wait_reading(
        node, "gas_volume", 9 * HOUR_S, mark, lambda one: one.value == first.value + hours * 30
    )
    status = fleet.status(node)["status"]
    assert (status["6"], status["7"]) == (AT_ERROR, PUK)
    grown = [one.value - first.value for one in fleet.readings(node, "gas_volume", mark)]
    assert grown == sorted(grown)
    assert len(grown) >= hours
