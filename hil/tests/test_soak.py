"""A day in the life of a node: on the virtual rig in seconds, on a bench with --soak."""

from collections import Counter

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl, Stimulus

HOUR_S = 3600
HOUR_US = HOUR_S * 10**6
LITRES = 10
HOURS = 24
TWO_HOURLY = {
    "report_s": 2 * HOUR_S, "report_records": 2, "burst_l_h": 0, "over_flow_l_h": 0,
    "ledger_s": 2 * HOUR_S,
}  # fmt: skip


@pytest.mark.soak
@pytest.mark.requirement("K-SOAK-01", "K-STO-01", "K-GAS-01", "K-GAS-07")
@pytest.mark.node("gas-meter", config=TWO_HOURLY)
@pytest.mark.needs("stimulus", "modem-twin")
def test_a_day_passes_without_a_lost_or_doubled_hour(
    node: Node, fleet: Fleet, stimulus: Stimulus, modem: ModemControl
) -> None:
    node.to("asleep")
    first = fleet.wait_reading(node, "gas_volume", 5 * HOUR_S)
    resets = fleet.wait_reading(node, "resets", 5 * HOUR_S).value  # a wake from sleep is none
    node.until(lambda: node.asleep, 600)
    node.wait(HOUR_S - node.now_us // 10**6 % HOUR_S + 600)  # of each hour the same minute
    mark, crashes = fleet.mark(), fleet.alarms(node)
    expected, register = {}, first.value
    for hour in range(HOURS):
        pulses = hour * 7 % 11
        stimulus.pulse("pulse", pulses, gap_ms=5000)
        if hour == 9:
            modem.event("no-service", for_s=3 * HOUR_S)
        register += pulses * LITRES
        expected[node.now_us // HOUR_US + 1] = register
        node.wait(HOUR_S)
    node.wait(3 * HOUR_S)
    found = Counter(
        (one.time_us // HOUR_US, one.value)
        for one in fleet.readings(node, "gas_volume", mark)
        if one.time_us // HOUR_US in expected and one.time_us % HOUR_US == 0
    )
    assert found == Counter(expected.items())
    assert [one for one in fleet.alarms(node) if one["kind"] == "crash"] == [
        one for one in crashes if one["kind"] == "crash"
    ]
    assert {one.value for one in fleet.readings(node, "resets", mark)} == {resets}
