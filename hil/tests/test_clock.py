"""The node's clock: set by the network, guessed without one, put right when it ran away."""

import pytest

from hil.fleet import Fleet, Reading
from hil.node import Node
from hil.protocols import ModemControl
from hil.tests import told

HOUR_US = 3_600_000_000
GOOD, ESTIMATED = 0, 1
SECOND = 1_000_000
WITHIN_S = 3  # the network tells whole seconds, the node shows them
RUNS_AHEAD = """
import machine, time
t = time.gmtime(time.time() + 300)
machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
"""


def off_s(node: Node) -> float:
    """By how much the clock of a node that is awake is ahead of the rig's."""
    with node.prompt.visit() as repl:
        seen = int(repl.execute("import time; print(time.time() + 946684800)"))
        return seen - node.now_us / SECOND


def volumes(node: Node, fleet: Fleet, since: int) -> list[Reading]:
    """Its hourly register."""
    return fleet.readings(node, "gas_volume", since)


@pytest.mark.requirement("K-CLK-01")
@pytest.mark.node("lamppost")
def test_the_clock_is_the_networks_after_a_contact(node: Node, fleet: Fleet) -> None:
    assert abs(off_s(node)) < WITHIN_S
    node.prompt.exec(RUNS_AHEAD)  # as one that drifts does in weeks
    assert off_s(node) > 290
    fleet.wait_report(node, 4 * 3600)
    assert abs(off_s(node)) < WITHIN_S


@pytest.mark.soak
@pytest.mark.requirement("K-CLK-02")
@pytest.mark.needs("modem-twin")
@pytest.mark.node("gas-meter", config=told.HOURLY)
def test_without_network_time_records_are_estimated_until_the_fleet_tells_it(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    node.wait(2 * 3600)  # a record from which to go on
    since = fleet.mark()
    modem.set({"network.time": False})
    node.reset("power")
    modem.set({"network.time": False})
    fleet.wait_report(node, 900)
    fleet.until(lambda: len(volumes(node, fleet, since)) >= 3, 5 * 3600)
    came = volumes(node, fleet, since)
    assert len(came) >= 3
    assert all(one.time_us <= node.now_us + 2 * SECOND for one in came), "none is of the future"
    # On a virtual rig the fleet's time is behind the node's by what was waited: hours come again,
    # but none twice that was sure.
    sure = [one.time_us for one in came if one.quality == GOOD]
    assert len(set(sure)) == len(sure), f"what is sure comes once: {came}"
    assert came[-1].quality == GOOD, "the receipt of the first report has told it the time"
    assert abs(came[-1].time_us % HOUR_US) < 120 * SECOND


@pytest.mark.soak
@pytest.mark.requirement("K-CLK-03")
@pytest.mark.needs("modem-twin")
@pytest.mark.node("gas-meter", config=told.HOURLY)
@pytest.mark.parametrize(("off", "repeats"), [(-1800, False), (7200, True)])
def test_a_clock_that_jumps_and_is_put_right_misses_no_slot(
    node: Node, fleet: Fleet, modem: ModemControl, off: int, repeats: bool
) -> None:
    node.to("asleep")
    since = fleet.mark()
    node.wait(3 * 3600)
    modem.set({"network.time_off_s": off})
    node.wait(2 * 3600)
    modem.set({"network.time_off_s": 0})
    node.wait(5 * 3600)
    times = [one.time_us for one in volumes(node, fleet, since)]
    assert (len(set(times)) < len(times)) == repeats
    hour = node.now_us // HOUR_US
    slots = {time_us // HOUR_US for time_us in times}
    assert {hour - n for n in range(1, 4)} <= slots, "none is missed once the clock is right"


@pytest.mark.requirement("K-CLK-04")
@pytest.mark.needs("modem-twin")
@pytest.mark.node("gas-meter", config=told.HOURLY)
def test_a_time_that_cannot_be_true_is_refused_and_told(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set({"network.time_off_s": -3 * 86400})
    fleet.wait_alarm("clock", node, 3 * 3600)
    newest = fleet.wait_reading(node, "gas_volume", 2 * 3600)
    assert abs(newest.received_us / SECOND - node.now_us / SECOND) < 86400
    assert abs(newest.time_us - node.now_us) < 2 * HOUR_US
