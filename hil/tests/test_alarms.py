"""How soon an alarm is at the fleet, and what becomes of one that nobody hears at first."""

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl, Stimulus
from hil.tests import told

CONTACT_S = 60.0  # from the wake to the receipt, in normal coverage
COVER_S = 2  # `cover_s` of a gas meter
HOUR_S = 3600
SAMPLE_S = 900
WATCHFUL = {
    "sample_s": SAMPLE_S, "rising_s": SAMPLE_S, "storm_s": 60, "jump_mm_h": 0,
    "level_high_mm": 6000, "rise_mm_h": 0, "report_s": HOUR_S, "report_records": 4,
}  # fmt: skip
LOW_MV, HIGH_MV = 960, 1920  # at the pin, of 480 mV to 2400 mV: 2.5 m, and 7.5 m of 10 m


@pytest.mark.requirement("K-ALM-01", "K-GAS-04")
@pytest.mark.node("gas-meter", config=told.HOURLY)
@pytest.mark.needs("stimulus")
def test_a_battery_node_tells_an_alarm_within_a_minute(
    node: Node, fleet: Fleet, stimulus: Stimulus
) -> None:
    node.to("asleep")
    stimulus.level("cover", 1)
    fleet.wait_alarm("cover", node, COVER_S + CONTACT_S)
    stimulus.level("cover", 0)
    fleet.wait_over("cover", node, 3 * HOUR_S)  # an end is worth no contact of its own


@pytest.mark.soak
@pytest.mark.requirement("K-ALM-02", "K-ALM-03", "K-REG-03")
@pytest.mark.node("drainage", config=WATCHFUL)
@pytest.mark.start("off")
@pytest.mark.needs("stimulus", "modem-twin")
def test_an_alarm_that_nobody_heard_is_told_when_the_network_is_back(
    node: Node, fleet: Fleet, stimulus: Stimulus, modem: ModemControl
) -> None:
    stimulus.voltage("level", LOW_MV)
    node.to("asleep")
    outage_s = 2 * HOUR_S
    modem.event("no-service", for_s=outage_s)
    stimulus.voltage("level", HIGH_MV)
    node.wait(outage_s - 60)
    assert not [one for one in fleet.alarms(node, everything=False) if one["kind"] == "level-high"]
    fleet.wait_alarm("level-high", node, outage_s)  # it waits longer each time
    stimulus.voltage("level", LOW_MV)
    fleet.wait_over("level-high", node, 3 * HOUR_S)
