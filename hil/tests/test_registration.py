"""How a node gets to its network, and what it does when that turns it away or is not there."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.power import Power
from hil.protocols import ModemControl

AWAKE_S = 300  # `awake_s` of every node type
FIRST_REPORT_S = 120.0  # from power-on in normal coverage, one search of the network in it
ATTACH_TIMEOUT = 14  # firmware/node/link/registration.py
HOUR_S = 3600
CONTACT_S = 60.0
RETRY_S = 500.0  # a command is good for ten minutes: so soon the contact is made again

pytestmark = pytest.mark.needs("modem-twin")


@pytest.mark.requirement("K-REG-01")
@pytest.mark.start("off")
def test_a_node_registers_and_reports_in_time(
    node: Node, fleet: Fleet, modem: ModemControl, power: Power
) -> None:
    node.to("provisioned")
    power.off()
    power.on()
    began_us = node.now_us
    fleet.wait_report(node, FIRST_REPORT_S)
    assert node.now_us - began_us < FIRST_REPORT_S * 10**6
    assert modem.status()["stat"] in ("home", "roaming")


@pytest.mark.requirement("K-REG-02", "K-PWR-05")
def test_a_node_without_coverage_gives_up_and_sleeps(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set({"no-service": True})
    at, began_us = modem.mark(), node.now_us
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.until(lambda: node.asleep, AWAKE_S)
    assert node.now_us - began_us < AWAKE_S * 10**6
    assert modem.said(r"^AT\+CEREG", at, "host")
    node.until(lambda: modem.status()["state"] in ("asleep", "off"), CONTACT_S)


@pytest.mark.requirement("K-REG-03", "K-STO-01")
@pytest.mark.node("gas-meter", config={"report_s": HOUR_S, "report_records": 1})
def test_a_node_registers_again_by_itself_and_tells_what_failed(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    fleet.wait_reading(node, "gas_volume", 3 * HOUR_S)
    mark = fleet.mark()
    modem.event("no-service", for_s=3 * HOUR_S)
    node.wait(2.5 * HOUR_S)
    assert not fleet.readings(node, "gas_volume", mark)
    fleet.wait_reading(node, "gas_volume", 6 * HOUR_S, mark)  # nobody presses anything
    status = fleet.status(node)["status"]
    assert (status["6"], int(status["4"]) > 0) == (ATTACH_TIMEOUT, True)


def asked(node: Node, fleet: Fleet) -> int:
    """A contact begins in which a command is to be delivered."""
    number = fleet.send(node, "read-now")
    node.wake()
    return number


def in_the_air(node: Node, modem: ModemControl, at: int) -> None:
    """It has a socket, and waits for its answer."""
    node.until(lambda: modem.said("QISEND", at, "host"), CONTACT_S, step_s=0.1)


@pytest.mark.requirement("K-REG-04")
@pytest.mark.parametrize("what", ["detach", "cell_change"])
def test_a_contact_that_the_network_breaks_off_is_made_again(
    node: Node, fleet: Fleet, modem: ModemControl, what: str
) -> None:
    node.to("asleep")
    at, number = modem.mark(), asked(node, fleet)
    in_the_air(node, modem, at)
    modem.event(what, **({"for_s": 20} if what == "detach" else {}))
    assert fleet.wait_command(number, node, RETRY_S)["state"] == "executed"


@pytest.mark.requirement("K-REG-07")
def test_a_modem_that_reboots_in_a_contact_costs_nothing_but_time(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    boots = modem.status()["counters"]["boots"]
    at, number = modem.mark(), asked(node, fleet)
    in_the_air(node, modem, at)
    modem.event("reboot")
    assert fleet.wait_command(number, node, RETRY_S)["state"] == "executed"
    assert modem.status()["counters"]["boots"] == boots + 1


@pytest.mark.requirement("K-REG-06")
def test_a_modem_that_hangs_is_reset_in_the_same_wake(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    boots = modem.status()["counters"]["boots"]
    modem.event("mute")
    number = asked(node, fleet)
    assert fleet.wait_command(number, node, AWAKE_S)["state"] == "executed"
    assert modem.status()["counters"]["boots"] > boots


@pytest.mark.requirement("K-PWR-02")
def test_power_saving_is_asked_for_and_reached(node: Node, modem: ModemControl) -> None:
    assert modem.said(r'^AT\+CPSMS=1,,,"[01]{8}","[01]{8}"', 0, "host")
    node.to("asleep")
    node.wait(120)
    found = modem.status()
    assert found["psm_granted"] == found["psm_wish"]
    assert found["psm"]


@pytest.mark.requirement("K-PWR-02")
@pytest.mark.start("off")
def test_a_network_that_refuses_power_saving_costs_no_contact(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    modem.set({"psm.accept": False})
    node.to("asleep")
    before = modem.mark()
    number = asked(node, fleet)
    assert fleet.wait_command(number, node, AWAKE_S)["state"] == "executed"
    node.until(lambda: node.asleep, AWAKE_S)
    assert modem.status()["psm_granted"] is None
    assert not modem.said(r"^AT\+CPSMS=1", before, "host"), "it is not asked in each contact"
