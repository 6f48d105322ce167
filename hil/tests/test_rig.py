"""The rig itself: each part of a place does what tests rely on."""

import pytest

from fleet.flashing.hardware import load_board
from hil.fleet import Fleet
from hil.node import Node
from hil.power import Power
from hil.protocols import ModemControl, Stimulus
from hil.tests import told


@pytest.mark.requirement("K-GAS-01")
@pytest.mark.node("gas-meter", config={"report_s": 3600, "report_records": 1})
@pytest.mark.needs("stimulus")
def test_pulses_of_the_wheel_are_gas(node: Node, fleet: Fleet, stimulus: Stimulus) -> None:
    first = fleet.wait_reading(node, "gas_volume", 2 * 3600)
    node.to("asleep")
    node.wait(stimulus.pulse("pulse", 20))
    then = fleet.wait_reading(node, "gas_volume", 2 * 3600)
    assert (then.value - first.value, then.quality) == (200, 0)


@pytest.mark.soak
@pytest.mark.requirement("K-REG-03")
@pytest.mark.needs("stimulus", "modem-twin")
@pytest.mark.node("gas-meter", config=told.HOURLY)
def test_a_node_without_service_reports_when_it_is_back(
    node: Node, fleet: Fleet, modem: ModemControl
) -> None:
    node.to("asleep")
    at = modem.mark()
    before = fleet.reported_us(node)
    modem.event("no-service", for_s=7200)
    node.wake()
    node.wait(3600)
    assert fleet.reported_us(node) == before
    fleet.wait_report(node, 86400)
    assert modem.said("CEREG", at)


@pytest.mark.requirement("K-CFG-01")
@pytest.mark.needs("stimulus")
def test_a_configuration_goes_down_with_a_receipt(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    node.wake()
    fleet.configure(node, {"report_s": 7200}, seconds=3600)
    assert fleet.status(node)["configuration"]["refused"] == 0


@pytest.mark.requirement("K-BOOT-01")
@pytest.mark.start("off")
def test_a_node_that_was_off_reports_when_it_has_power(
    node: Node, fleet: Fleet, power: Power
) -> None:
    since = fleet.reported_us(node)
    power.on()
    fleet.wait_report(node, 900, since)


@pytest.mark.requirement("K-BOOT-01", "K-REG-01")
@pytest.mark.node("manhole")
def test_a_manhole_reports(node: Node, fleet: Fleet) -> None:
    assert fleet.status(node)["role"] == "drainage"


@pytest.mark.requirement("K-BOOT-01", "K-REG-01")
@pytest.mark.node("lamppost")
def test_a_lamppost_reports(node: Node, fleet: Fleet) -> None:
    assert fleet.status(node)["role"] == "lamppost"


@pytest.mark.requirement("K-BOOT-01", "K-REG-01")
@pytest.mark.node("gateway")
def test_a_gateway_reports(node: Node, fleet: Fleet) -> None:
    assert fleet.status(node)["role"] == "gateway"


@pytest.mark.requirement("K-BOOT-01", "K-REG-01")
@pytest.mark.node("drainage")
def test_a_drainage_point_reports(node: Node, fleet: Fleet) -> None:
    assert fleet.status(node)["role"] == "drainage"


@pytest.mark.requirement("K-CMD-03")
@pytest.mark.needs("stimulus")
def test_a_command_is_done_with_the_next_contact(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    mark = fleet.mark()
    sent = fleet.send(node, "read-now")
    node.wake()
    delivery = fleet.wait_command(sent, node, 3600)
    assert (delivery["state"], delivery["result"]) == ("executed", 0)
    assert fleet.readings(node, "valve", mark), "what was read is in the answer's report"


@pytest.mark.requirement("K-UPD-01")
def test_a_release_is_taken(node: Node, fleet: Fleet) -> None:
    number = fleet.releases.make(node)
    fleet.releases.offer(node, number)
    fleet.releases.wait(node, number, "succeeded", 3 * 86400)
    assert fleet.releases.sent_whole(node, number), "it runs no release, so there is no base"
    assert fleet.releases.running(node) == number
    node.blank()


LOOKS = """
import machine, time
def volts(pin):
    return machine.ADC(machine.Pin(pin)).read_uv() // 1000
def level(pin):
    return machine.Pin(pin, machine.Pin.IN).value()
def edges(pin, ms):
    line, seen, last = machine.Pin(pin, machine.Pin.IN), 0, 0
    end = time.ticks_add(time.ticks_ms(), ms)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        level = line.value()
        seen += level and not last
        last = level
        time.sleep_ms(2)
    return seen
"""


@pytest.mark.requirement("K-FID-02")
@pytest.mark.needs("stimulus")
def test_what_a_stimulus_makes_is_what_the_chip_sees(node: Node, stimulus: Stimulus) -> None:
    """The same on every rig: the virtual board's, and a stimulus board's over its wires."""
    pins = load_board(node.board).pins
    with node.prompt.visit() as repl:
        repl.execute(LOOKS)
        for millivolts in (500, 1500):
            stimulus.voltage("battery", millivolts)
            seen = int(repl.execute(f"time.sleep_ms(200); print(volts({pins['battery']}))"))
            assert abs(seen - millivolts) <= 0.03 * millivolts + 10
        for level in (1, 0):
            stimulus.level("cover", level)
            code = f"time.sleep_ms(50); print(level({pins['cover']}))"
            assert int(repl.execute(code)) == level
        stimulus.pulse("pulse", 4, width_ms=60, gap_ms=200)
        assert int(repl.execute(f"print(edges({pins['pulse']}, 2000))")) == 4
