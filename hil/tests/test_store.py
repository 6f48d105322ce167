"""What a node measured while nobody could hear it: nothing is lost, and nothing is there twice."""

from collections import Counter

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.power import Power
from hil.protocols import ModemControl, Stimulus

HOUR_S = 3600
HOUR_US = HOUR_S * 10**6
LITRES = 10
HASTE = 300  # an answer that nobody will give is waited for so many times faster
ON_ITS_WAY_MS = 6000  # each way: time for what happens while a report has none of its answer
HOURLY = {"report_s": HOUR_S, "report_records": 1, "burst_l_h": 0, "over_flow_l_h": 0}
MINUTELY = {"sample_s": 60, "report_s": 120, "report_records": 2, "lamp_plan": ["00:00", 0]}


def frozen(fleet: Fleet, node: Node, since: int) -> Counter[tuple[int, int]]:
    """(time, register) of the hours' freezes, and how often each came."""
    return Counter(
        (one.time_us, one.value)
        for one in fleet.readings(node, "gas_volume", since)
        if one.time_us % HOUR_US == 0
    )


def gas_of_hours(node: Node, stimulus: Stimulus, hours: int) -> None:
    """So many hours, in each of which three pulses come."""
    for _ in range(hours):
        stimulus.pulse("pulse", 3)
        node.wait(HOUR_S)


@pytest.mark.soak
@pytest.mark.requirement("K-STO-01", "K-STO-03")
@pytest.mark.node("gas-meter", config=HOURLY)
@pytest.mark.needs("stimulus", "power")
def test_a_fleet_that_was_gone_for_hours_gets_each_hour_once(
    node: Node, fleet: Fleet, stimulus: Stimulus, power: Power
) -> None:
    first = fleet.wait_reading(node, "gas_volume", 3 * HOUR_S)
    node.to("asleep")
    mark, began_us = fleet.mark(), node.now_us
    fleet.stop()
    node.hurry(HASTE)
    gas_of_hours(node, stimulus, 4)
    stimulus.relay("supply-fail", 1)
    node.wait(1.5)
    power.off()
    stimulus.relay("supply-fail", 0)
    power.on()
    node.until(lambda: node.asleep, 900)  # while it boots nobody counts
    gas_of_hours(node, stimulus, 4)
    node.hurry(1)
    fleet.start()
    node.wake()
    due = range(began_us // HOUR_US + 1, node.now_us // HOUR_US + 1)
    fleet.until(lambda: len(frozen(fleet, node, mark)) >= len(due), 6 * HOUR_S)
    found = frozen(fleet, node, mark)
    assert set(found.values()) == {1}
    assert {at // HOUR_US for at, _ in found} >= set(due)
    assert max(register for _, register in found) == first.value + 8 * 3 * LITRES


@pytest.mark.requirement("K-STO-01")
@pytest.mark.node("lamppost", config=MINUTELY)
@pytest.mark.needs("modem-twin")
@pytest.mark.parametrize("outage", ["refuse", "close"])
def test_a_broker_that_was_gone_gets_each_sample_once(
    node: Node, fleet: Fleet, modem: ModemControl, outage: str
) -> None:
    fleet.wait_reading(node, "supply_voltage", 600)
    mark, began_us = fleet.mark(), node.now_us
    modem.set(server=outage)
    node.wait(900)
    ended_us = node.now_us
    modem.set(server="none")
    minutes = range(began_us // 60_000_000 + 1, ended_us // 60_000_000)

    def came() -> Counter[int]:
        found = fleet.readings(node, "supply_voltage", mark)
        return Counter(one.time_us // 60_000_000 for one in found)

    assert fleet.until(lambda: came().keys() >= set(minutes), HOUR_S)
    assert set(came().values()) == {1}


def counted(modem: ModemControl, what: str) -> int:
    """One of the modem's counters."""
    return int(modem.status()["counters"][what])


@pytest.mark.requirement("K-STO-04", "K-STO-02")
@pytest.mark.node("gas-meter", config=HOURLY)
@pytest.mark.needs("stimulus", "modem-twin")
def test_a_fleet_that_is_killed_before_its_receipt_gets_it_again_and_stores_it_once(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    fleet.wait_reading(node, "gas_volume", 3 * HOUR_S)
    node.to("asleep")
    mark, began_us = fleet.mark(), node.now_us
    modem.set({"radio.delay_ms": ON_ITS_WAY_MS})
    before = modem.status()["counters"]
    node.wait(HOUR_S - began_us // 10**6 % HOUR_S - 1)  # the hour's freeze goes out at once
    while counted(modem, "up_bytes") == before["up_bytes"]:
        assert node.now_us < began_us + HOUR_US + 120 * 10**6, "it reports no hour"
        node.wait(0.1)  # `until` looks ever less often while a node sleeps
    modem.set({"radio.loss": 1})  # of what is not yet on its way
    node.until(lambda: frozen(fleet, node, mark), 60, step_s=0.1)
    fleet.kill()
    stored, again = frozen(fleet, node, mark), fleet.mark()
    node.hurry(HASTE)
    node.until(lambda: node.asleep, 600)
    assert counted(modem, "down_bytes") == before["down_bytes"], "no receipt has come"
    node.hurry(1)
    modem.set({"radio.loss": 0, "radio.delay_ms": 0})
    fleet.start()
    node.wake()
    # What had no receipt comes with the next hour's at the latest: a first contact may fail.
    fleet.wait_reading(node, "gas_volume", 3 * HOUR_S, again)
    due = range(began_us // HOUR_US + 1, node.now_us // HOUR_US + 1)
    fleet.until(lambda: len(frozen(fleet, node, mark)) >= len(due), 6 * HOUR_S)
    found = frozen(fleet, node, mark)
    assert set(found.values()) == {1}
    assert stored.keys() <= found.keys()
    assert {time_us // HOUR_US for time_us, _ in found} >= set(due)


@pytest.mark.soak
@pytest.mark.requirement("K-STO-03", "K-STO-01")
@pytest.mark.node("gas-meter", config=HOURLY)
@pytest.mark.needs("stimulus", "power")
def test_power_cuts_in_contacts_cost_no_record(node: Node, fleet: Fleet, power: Power) -> None:
    node.to("asleep")
    fleet.wait_reading(node, "gas_volume", 3 * HOUR_S)
    mark, began_us = fleet.mark(), node.now_us
    for seconds in (0.4, 1.7, 4.0):
        node.wait(HOUR_S)
        node.until(lambda: node.asleep, 600)
        power.cut_during(node.wake, seconds)
        power.on()
        node.until(lambda: node.asleep, 600)
    due = range(began_us // HOUR_US + 1, node.now_us // HOUR_US + 1)
    fleet.until(lambda: len(frozen(fleet, node, mark)) >= len(due), 6 * HOUR_S)
    found = frozen(fleet, node, mark)
    assert set(found.values()) == {1}
    assert {time_us // HOUR_US for time_us, _ in found} >= set(due)
