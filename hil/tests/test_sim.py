"""What may be wrong with a SIM, and how a node tells one fault from the other."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl, Stimulus

AWAKE_S = 300
AT_ERROR, REFUSED = 12, 15  # firmware/node/errors.py, link/registration.py
ABSENT, PIN, PUK = 10, 11, 12  # 3GPP TS 27.007, 9.2.1
ILLEGAL_UE = 3  # EMM cause, 3GPP TS 24.301, 9.9.3.9
HOUR_S = 3600

pytestmark = pytest.mark.needs("modem-twin")


def told_after(node: Node, fleet: Fleet, modem: ModemControl, sim: str) -> tuple[int, int]:
    """Error and cause that the status tells once the SIM is well: of contacts while it was so."""
    node.to("asleep")
    modem.set(sim=sim)
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.until(lambda: node.asleep, AWAKE_S)
    modem.set(sim="ready")
    node.wake()
    fleet.wait_report(node, AWAKE_S)
    status = fleet.status(node)["status"]
    return status["6"], status["7"]


@pytest.mark.requirement("K-SIM-01")
def test_a_missing_sim_is_told_from_a_missing_network(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    assert told_after(node, fleet, modem, "absent") == (AT_ERROR, ABSENT)


@pytest.mark.requirement("K-SIM-02")
def test_a_pin_is_never_guessed(node: Node, fleet: Fleet, modem: ModemControl) -> None:
    at = modem.mark()
    assert told_after(node, fleet, modem, "pin") == (AT_ERROR, PIN)
    assert not modem.said(r"^AT\+CPIN=", at, "host")


@pytest.mark.requirement("K-SIM-03")
def test_a_sim_of_another_device_is_told_and_not_tried_for_hours(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set(sim="illegal")
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.until(lambda: node.asleep, AWAKE_S)
    at = modem.mark()
    node.wait(5 * HOUR_S)
    assert not modem.said("^AT", at, "host"), "only a hand heals that"
    modem.set(sim="ready")
    node.wake()
    fleet.wait_report(node, AWAKE_S)
    status = fleet.status(node)["status"]
    assert (status["6"], status["7"]) == (REFUSED, ILLEGAL_UE)


@pytest.mark.requirement("K-SIM-03", "K-STO-01")
def test_an_operator_that_lets_the_fleet_not_through_costs_nothing_but_time(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set(sim="not-on-whitelist")
    before = fleet.reported_us(node)
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.until(lambda: node.asleep, AWAKE_S)
    assert fleet.reported_us(node) == before
    modem.set(sim="ready")
    node.wake()
    fleet.wait_report(node, HOUR_S)
    assert fleet.status(node)["status"]["6"] not in (AT_ERROR, REFUSED), "neither SIM nor network"


@pytest.mark.requirement("K-SIM-04")
@pytest.mark.node("gas-meter", config={"report_s": HOUR_S, "report_records": 1})
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
    node.wake()
    fleet.wait_reading(
        node, "gas_volume", 3 * HOUR_S, mark, lambda one: one.value == first.value + hours * 30
    )
    status = fleet.status(node)["status"]
    assert (status["6"], status["7"]) == (AT_ERROR, PUK)
    grown = [one.value - first.value for one in fleet.readings(node, "gas_volume", mark)]
    assert grown == sorted(grown)
    assert len(grown) >= hours
