"""Commands: each is done once, or refused, and whoever sent it is told."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl

HOUR_S = 3600
TOO_LATE = 1  # docs/protocol.md, what became of an item
OTHER_KEY = (
    "import esp32\nnvs = esp32.NVS('kapok')\nnvs.set_blob('hmac', bytes(32))\nnvs.commit()\n"
)

pytestmark = pytest.mark.needs("stimulus")  # a button makes the contact that brings a command


def done(fleet: Fleet, node: Node, since: int) -> int:
    """How often READ_NOW was done: nothing else tells where the valve is."""
    return len(fleet.readings(node, "valve", since))


def contact(node: Node) -> None:
    """One more, to its end."""
    node.wake()
    node.until(lambda: not node.asleep, 10, step_s=0.2)
    node.until(lambda: node.asleep, 600)


@pytest.mark.requirement("K-CMD-01", "K-CMD-03")
@pytest.mark.needs("modem-twin")
def test_a_command_that_comes_twice_is_done_once(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set({"udp.duplicate": 1.0, "udp.reorder": 0.3})
    mark = fleet.mark()
    sent = fleet.send(node, "read-now")
    node.wake()
    told = fleet.wait_command(sent, node, HOUR_S)
    assert (told["state"], told["result"]) == ("executed", 0)
    contact(node)
    assert done(fleet, node, mark) == 1


@pytest.mark.requirement("K-CMD-01")
@pytest.mark.needs("modem-twin")
def test_a_command_on_a_link_that_loses_much_is_done_once(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    node.hurry(8)
    modem.set({"radio.loss": 0.3})
    mark = fleet.mark()
    sent = fleet.send(node, "read-now")
    node.wake()
    assert fleet.wait_command(sent, node, 6 * HOUR_S)["state"] == "executed"
    assert done(fleet, node, mark) == 1


@pytest.mark.requirement("K-CMD-02")
@pytest.mark.needs("virtual")  # where a node's clock can be ahead of its fleet's
def test_a_command_that_comes_too_late_is_refused(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    node.wait(2 * HOUR_S)
    mark = fleet.mark()
    sent = fleet.send(node, "read-now")
    node.wake()
    told = fleet.wait_command(sent, node, HOUR_S)
    assert told["result"] == TOO_LATE
    assert done(fleet, node, mark) == 0


@pytest.mark.requirement("K-CMD-02")
def test_a_command_under_another_key_is_not_done(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    node.spoilt()
    node.prompt.exec(OTHER_KEY)
    mark = fleet.mark()
    sent = fleet.send(node, "read-now")
    node.until(lambda: node.asleep, 600)
    contact(node)
    contact(node)
    assert done(fleet, node, mark) == 0
    assert fleet.delivery(sent, node)["state"] == "delivered", "and is still to be done"
