"""Deep sleep, what ends it, and what sleep and wakes take: bounds from the figures of hw/."""

import pytest

from hil.current import CurrentTrace
from hil.fleet import Fleet
from hil.node import Node
from hil.protocols import ModemControl, Stimulus
from hil.tests import design

SETTLES_S = 60  # behind the last contact, the modem's way into PSM


@pytest.mark.requirement("K-PWR-01")
@pytest.mark.needs("current-meter")
def test_a_sleeping_node_draws_what_its_design_says(node: Node, current: CurrentTrace) -> None:
    node.to("asleep")
    design.calm(node, SETTLES_S + 120)
    node.wait(SETTLES_S)
    mark = current.mark()
    node.wait(120)
    bound = design.SLEEP_MARGIN * design.of(node.type).sleep_ua
    assert 0 < current.since(mark).mean_ua() < bound


@pytest.mark.requirement("K-PWR-02")
@pytest.mark.needs("modem-twin")
def test_the_modem_is_in_power_saving_mode_while_the_node_sleeps(
    node: Node, modem: ModemControl
) -> None:
    node.to("asleep")
    design.calm(node, SETTLES_S)
    node.wait(SETTLES_S)
    told = modem.status()
    assert told["psm_granted"]
    assert told["psm"]


@pytest.mark.soak
@pytest.mark.requirement("K-PWR-03")
@pytest.mark.needs("current-meter", "modem-twin")
def test_a_wake_without_contact_takes_the_charge_of_its_design(
    node: Node, current: CurrentTrace, modem: ModemControl
) -> None:
    node.to("asleep")
    node.wait(SETTLES_S)
    mark, at = current.mark(), modem.mark()
    node.wait(3 * 3600)
    known = design.of(node.type)
    talked = [line.at_us for line in modem.log(at) if line.who == "host"]  # the day's report
    wakes = [
        wake
        for wake in current.since(mark).wakes(round(known.awake_ua))
        if not any(wake.begin_us <= at_us <= wake.end_us for at_us in talked)
    ]
    assert wakes, "it samples each hour"
    for wake in wakes:
        assert wake.charge_uc() < design.WAKE_MARGIN * known.sense_uc
        assert wake.peak_ua() < 1500 * known.chip.power_ma.busy, "its modem stays asleep"


@pytest.mark.requirement("K-PWR-04")
@pytest.mark.needs("current-meter", "modem-twin")
@pytest.mark.node("gas-meter", config={"report_s": 7200, "report_records": 1})
def test_a_contact_takes_the_charge_of_its_design(
    node: Node, fleet: Fleet, current: CurrentTrace, modem: ModemControl
) -> None:
    modem.set(ecl=0)
    node.to("asleep")
    node.wait(SETTLES_S)
    mark = current.mark()
    fleet.wait_report(node, 3 * 3600)
    node.to("asleep")
    node.wait(SETTLES_S)
    known = design.of(node.type)
    trace = current.since(mark)
    asleep_uc = known.sleep_ua * trace.seconds
    wakes = known.sense_uc * (2 + trace.seconds // 3600)
    bound = design.WAKE_MARGIN * (known.contact_uc("coap", "ecl0") + wakes)
    assert trace.charge_uc() - asleep_uc < bound


@pytest.mark.requirement("K-PWR-05")
@pytest.mark.needs("stimulus", "current-meter", "modem-twin")
def test_without_a_network_a_node_sleeps_again_within_its_cap(
    node: Node, current: CurrentTrace, modem: ModemControl
) -> None:
    node.to("asleep")
    modem.set({"no-service": True})
    mark = current.mark()
    node.wake()
    known = design.of(node.type)
    node.wait(2 * known.default("awake_s"))
    node.until(lambda: node.asleep, known.default("awake_s") + 15)  # it tries again after a minute
    wakes = current.since(mark).wakes(round(known.awake_ua))
    assert wakes
    assert max(wake.seconds for wake in wakes) < known.default("awake_s") + 15


@pytest.mark.requirement("K-PWR-06")
@pytest.mark.needs("stimulus")
def test_the_button_wakes_a_sleeping_node(node: Node) -> None:
    node.to("asleep")
    mark = node.console.mark()
    node.press("button")
    node.console.expect(r"rst:0x5 \(D\w*SL\w*\)", 5, mark)
    node.to("asleep")


@pytest.mark.requirement("K-PWR-06")
@pytest.mark.needs("stimulus")
@pytest.mark.parametrize("contact", ["cover", "gas_call", "shock"])
def test_a_contact_of_the_board_wakes_a_sleeping_node(
    node: Node, stimulus: Stimulus, contact: str
) -> None:
    node.to("asleep")
    mark = node.console.mark()
    stimulus.level(contact, 1)
    node.console.expect(r"rst:0x5 \(D\w*SL\w*\)", 5, mark)
    stimulus.level(contact, 0)
    node.to("asleep")
