"""How a node gets to its network, and what it does when that turns it away or is not there."""

from typing import Any

import pytest

from fleet.flashing.visit import Visit
from hil.fleet import Fleet, Reading
from hil.node import Node
from hil.power import Power
from hil.protocols import ModemControl
from hil.tests import design

AWAKE_S = 300  # `awake_s` of every node type
FIRST_REPORT_S = 120.0  # from power-on in normal coverage, one search of the network in it
ATTACH_TIMEOUT = 14  # firmware/node/link/registration.py
HOUR_S = 3600
CONTACT_S = 60.0

HOUR_US = HOUR_S * 10**6

pytestmark = [
    pytest.mark.node("gas-meter", config={"report_s": HOUR_S, "report_records": 1}),
    pytest.mark.needs("modem-twin"),
]


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
@pytest.mark.needs("stimulus", "current-meter")  # a search is as silent as sleep
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


@pytest.mark.soak
@pytest.mark.requirement("K-REG-03", "K-STO-01")
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


def broken_off(node: Node, fleet: Fleet, modem: ModemControl, what: str, **more: Any) -> None:
    """In a contact that brings an hour's freeze this befalls the modem; it arrives, once."""
    node.to("asleep")
    fleet.wait_reading(node, "gas_volume", 3 * HOUR_S)  # no hour of before its clock was set anew
    mark = fleet.mark()
    node.wait(HOUR_S - node.now_us // 10**6 % HOUR_S + 10)
    hour = node.now_us // HOUR_US
    node.until(lambda: node.asleep, AWAKE_S)
    at = modem.mark()
    node.wake()
    node.until(lambda: modem.said("QISEND", at, "host"), CONTACT_S, step_s=0.1)
    modem.event(what, **more)

    def is_it(one: Reading) -> bool:
        return one.time_us == hour * HOUR_US

    fleet.wait_reading(node, "gas_volume", HOUR_S, mark, is_it)
    node.until(lambda: node.asleep, AWAKE_S)
    assert len([one for one in fleet.readings(node, "gas_volume", mark) if is_it(one)]) == 1


@pytest.mark.requirement("K-REG-04", "K-STO-01")
@pytest.mark.needs("stimulus")
def test_a_contact_in_which_the_network_detaches_the_node_is_made_again(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    broken_off(node, fleet, modem, "detach", for_s=20)


@pytest.mark.requirement("K-REG-04", "K-STO-01")
@pytest.mark.needs("stimulus")
def test_a_change_of_cell_in_a_contact_costs_no_record(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    broken_off(node, fleet, modem, "cell_change")


@pytest.mark.requirement("K-REG-07", "K-STO-01")
@pytest.mark.needs("stimulus")
def test_a_modem_that_reboots_in_a_contact_costs_no_record(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    boots = modem.status()["counters"]["boots"]
    broken_off(node, fleet, modem, "reboot")
    assert modem.status()["counters"]["boots"] == boots + 1


@pytest.mark.requirement("K-REG-05")
@pytest.mark.parametrize("rsrp", [-85, -118])
def test_a_technician_is_shown_the_signal_that_the_modem_tells(
    node: Node, modem: ModemControl, rsrp: int
) -> None:
    modem.set(rsrp=rsrp)
    with node.prompt.visit() as repl:
        visit = Visit(repl, lambda _: None)
        visit.facts()
        visit.radio()
    shown, is_so = visit.told["radio"]["signal"], modem.status()["signal"]
    assert abs(shown["rsrp_dbm"] - rsrp) <= 1
    assert abs(shown["rsrp_dbm"] - is_so["rsrp_dbm"]) <= 1
    assert shown["ecl"] == is_so["ecl"]


@pytest.mark.requirement("K-REG-06")
@pytest.mark.needs("stimulus")
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
    design.calm(node, 120)
    node.wait(120)
    found = modem.status()
    assert found["psm_granted"] == found["psm_wish"]
    assert found["psm"]


@pytest.mark.requirement("K-PWR-02")
@pytest.mark.needs("stimulus")
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
