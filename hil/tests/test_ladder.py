"""How far a node goes with a modem that hangs, as it tells the fleet."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl
from hil.tests import told

RESET_PIN, POWER_KEY = "10", "11"  # status keys: how often each brought it back, or was to


@pytest.mark.requirement("K-REG-06")
@pytest.mark.node("gas-meter", config=told.HOURLY)
@pytest.mark.needs("modem-twin")
def test_the_reset_pin_is_enough_for_a_modem_that_hangs(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")

    def used(rung: str) -> int:
        found: int = fleet.status(node)["status"].get(rung, 0)
        return found

    resets, keys = used(RESET_PIN), used(POWER_KEY)
    modem.event("mute")
    node.wake()
    fleet.until(lambda: used(RESET_PIN) > resets, 3 * 3600)
    assert (used(RESET_PIN), used(POWER_KEY)) == (resets + 1, keys)
