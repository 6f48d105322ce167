"""A node that comes by CoAP: what it takes for an answer, and what it does without one."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.servers.datagrams import DatagramRelay
from hil.tests import told

BY_COAP = {**told.HOURLY, "door": "coap"}
FAILED = "4"  # status key: wakes whose contact failed
HASTE = 20  # nobody says anything that counts meanwhile


@pytest.mark.requirement("K-COAP-02")
@pytest.mark.node("gas-meter")
@pytest.mark.start("off")
@pytest.mark.needs("modem-twin")  # no other modem reaches a port of this machine
def test_an_answer_whose_seal_is_broken_is_no_answer(node: Node, fleet: Fleet) -> None:
    with DatagramRelay(fleet.port_of("coap")) as relay:
        node.configure({**BY_COAP, "port": relay.port})
        fleet.wait_report(node, 1800)
        node.until(lambda: node.asleep, 900)
        failed = fleet.status(node)["status"].get(FAILED, 0)
        relay.spoils = True
        node.wake()
        node.until(lambda: relay.spoilt, 300, step_s=0.1)
        node.hurry(HASTE)
        node.until(lambda: node.asleep, 900)
        node.hurry(1)
        relay.spoils = False
        fleet.wait_report(node, 6 * 3600)
        assert fleet.status(node)["status"].get(FAILED, 0) > failed
    node.spoilt()  # its port is gone
