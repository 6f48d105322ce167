"""How far a node goes with a modem that hangs, as it tells the fleet."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl
from hil.tests import told

# Status keys: how often each brought it back, or was to.
RESET_PIN, POWER_KEY, SUPPLY = "10", "11", "12"


@pytest.mark.requirement("K-REG-06")
@pytest.mark.node("gas-meter", config=told.HOURLY)
@pytest.mark.needs("stimulus", "modem-twin")
def test_the_reset_pin_is_enough_for_a_modem_that_hangs(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")

    def used(rung: str) -> int:
        found: int = fleet.status(node)["status"].get(rung, 0)
        return found

    resets, keys, cuts = used(RESET_PIN), used(POWER_KEY), used(SUPPLY)
    modem.event("mute")
    node.wake()
    fleet.until(lambda: used(RESET_PIN) > resets, 3 * 3600)
    assert (used(RESET_PIN), used(POWER_KEY), used(SUPPLY)) == (resets + 1, keys, cuts)
