"""The watchdog, and supplies that fail: a node comes back by itself, and tells why it was away."""

import pytest

from fleet import schema
from hil.fleet import Fleet
from hil.node import Node
from hil.power import Power
from hil.protocols import Stimulus
from hil.tests import told
from hil.tests.test_boot import SELFTEST

CAP_S = 180  # the application's watchdog, by the configuration; a search for the network fits in
SUPERVISOR_S = 600  # that of boot.py
CONTACT_S = 60  # within which one is over that has brought its report
# In place of main.py for one life: it puts that back first of all, and hangs then.
STAND_IN = """
import os
os.rename("/main.py", "/main.kept")
with open("/main.py", "w") as f:
    f.write({text!r})
"""
BACK = """
import os
os.rename("/main.kept", "/main.py")
"""
SPINS = BACK + "while True:\n    pass\n"
# The application is made, with its watchdog, and never goes on.
STARVES = (
    BACK
    + """
import asyncio, time
def starve(application):
    while True:
        time.sleep(1)
asyncio.run = starve
from node import main
main.run()
"""
)
CONFIG = {**told.HOURLY, "awake_s": CAP_S, "attach_s": 120}


def hang(node: Node, text: str) -> int:
    """The next life of the node is `text`; where the console was before."""
    node.wait(CONTACT_S)  # none is under way then, whose open socket would make hours real ones
    with node.prompt.visit() as repl:
        repl.execute(STAND_IN.format(text=text))
        mark: int = node.console.mark()
    return mark


@pytest.mark.requirement("K-WDG-01")
@pytest.mark.node("gas-meter", config=CONFIG)
def test_an_application_that_hangs_is_reset_at_its_cap_and_tells(node: Node, fleet: Fleet) -> None:
    crashes = len(fleet.command("node", "health", node.id)["crashes"])
    mark = hang(node, STARVES)
    began = node.now_us
    node.console.expect(r"rst:0x[0-9a-f]+ \(.*(?:RST|RESET|WDT)\w*\)", 60, mark)  # into the hang
    node.console.expect(r"rst:0x[0-9a-f]+ \(", CAP_S + 30)  # and out of it
    assert (node.now_us - began) / 1e6 < CAP_S + 30
    fleet.until(lambda: told.last_cause(node, fleet) == told.WATCHDOG, 3 * 3600)
    assert told.last_cause(node, fleet) == told.WATCHDOG
    health = fleet.command("node", "health", node.id)["crashes"]
    assert len(health) == crashes + 1
    fleet.wait_alarm("crash", node, 3600)


@pytest.mark.requirement("K-WDG-02")
@pytest.mark.node("gas-meter", config=CONFIG)
def test_the_watchdog_is_there_before_anything_of_the_application(
    node: Node, fleet: Fleet
) -> None:
    mark = hang(node, SPINS)
    node.console.expect(r"rst:0x", 60, mark)
    node.console.expect(r"rst:0x", SUPERVISOR_S + 60)
    fleet.until(lambda: told.last_cause(node, fleet) == told.WATCHDOG, 3 * 3600)
    assert told.last_cause(node, fleet) == told.WATCHDOG


@pytest.mark.requirement("K-WDG-03")
@pytest.mark.node("lamppost")
def test_a_mains_node_that_is_well_is_not_reset(node: Node, fleet: Fleet) -> None:
    mark = node.console.mark()
    node.wait(2 * schema.rules(node.type)["awake_s"][-1])
    assert "rst:0x" not in node.console.since(mark)
    fleet.wait_report(node, 2 * 3600)


@pytest.mark.requirement("K-BRN-01")
@pytest.mark.needs("stimulus", "virtual")  # a supply that dips for 20 ms
@pytest.mark.node("gas-meter", config=told.HOURLY)
def test_a_dip_of_the_supply_resets_the_node_which_goes_on_and_tells(
    node: Node, fleet: Fleet, power: Power, stimulus: Stimulus
) -> None:
    first = fleet.wait_reading(node, "gas_volume", 3 * 3600)  # all of before is in it
    node.to("asleep")
    since = fleet.mark()
    node.wait(stimulus.pulse("pulse", 5))
    mark = node.console.mark()
    power.dip(20)
    node.console.expect(r"BROWN_OUT", 60, mark)
    node.console.expect(SELFTEST, 60, mark)
    fleet.wait_alarm("brown-out", node, 3 * 3600)
    then = fleet.wait_reading(node, "gas_volume", 3 * 3600, since)
    assert then.value - first.value == 50, "its register goes on"


@pytest.mark.requirement("K-BRN-02")
@pytest.mark.needs("stimulus")
@pytest.mark.node("gas-meter", config={**told.HOURLY, "battery_s": 0})
def test_a_weak_battery_is_reported_before_it_ends(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    stimulus.voltage("battery", 1800)
    node.to("asleep")
    node.wait(60)
    assert not [one for one in fleet.alarms(node, False) if one["kind"] == "battery-low"]
    stimulus.voltage("battery", 1550)  # 3.1 V before the divider
    fleet.wait_alarm("battery-low", node, 3 * 3600)
