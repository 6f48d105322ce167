"""Boot, and the causes of resets."""

import json

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.tests import told

SELFTEST = r"kapok-selftest (\{.*\})\n"
# Written over the head of the slot that runs, which is given back as it was.
SPOIL = """
with open('/a.romfs', 'r+b') as f:
    head = f.read(64)
    f.seek(0)
    f.write(bytes(64))
print(head.hex())
"""
MEND = """
with open('/a.romfs', 'r+b') as f:
    f.write(bytes.fromhex('{head}'))
"""


@pytest.mark.requirement("K-BOOT-01")
def test_a_provisioned_node_starts_by_itself_and_reports(node: Node, fleet: Fleet) -> None:
    mark, since = node.console.mark(), fleet.reported_us(node)
    node.reset("power")
    said = json.loads(node.console.expect(SELFTEST, 60, mark)[1])
    assert (said["provisioned"], said["vfs"], said["nvs"]) == (True, True, True)
    fleet.wait_report(node, 900, since)


@pytest.mark.requirement("K-BOOT-02")
def test_the_button_on_en_is_told_as_a_power_on(node: Node) -> None:
    mark = node.console.mark()
    node.reset("pin")
    assert node.console.expect(r"rst:0x1 \((POWERON\w*)\)", 60, mark)
    assert json.loads(node.console.expect(SELFTEST, 60, mark)[1])["cause"] == told.POWER_ON


@pytest.mark.requirement("K-BOOT-02")
@pytest.mark.node("gas-meter", config=told.HOURLY)
@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("hard", told.HARD),
        ("soft", told.SOFT),
        ("watchdog", told.WATCHDOG),
        ("deep-sleep", told.DEEP_SLEEP),
    ],
)
def test_the_cause_of_a_reset_is_in_the_next_report(
    node: Node, fleet: Fleet, how: str, cause: int
) -> None:
    assert told.last_cause(node, fleet) == told.POWER_ON
    node.reset(how)
    fleet.until(lambda: told.last_cause(node, fleet) == cause, 3 * 3600)
    assert told.last_cause(node, fleet) == cause


@pytest.mark.requirement("K-BOOT-03")
def test_a_node_whose_slot_is_damaged_starts_its_rescue(node: Node, fleet: Fleet) -> None:
    with node.prompt.visit() as repl:
        head = repl.execute(SPOIL).strip()
    mark = node.console.mark()
    node.reset("pin")
    node.console.expect(r"the slot does not start, so the rescue application does", 60, mark)
    node.prompt.exec(MEND.format(head=head))
    mark, since = node.console.mark(), fleet.reported_us(node)
    node.reset("pin")
    assert json.loads(node.console.expect(SELFTEST, 60, mark)[1])["provisioned"]
    assert "rescue" not in node.console.since(mark)
    fleet.wait_report(node, 900, since)


@pytest.mark.soak
@pytest.mark.requirement("K-BOOT-04")
@pytest.mark.node("gas-meter", config={"report_s": 86400, "report_records": 48})
def test_a_reset_between_two_reports_loses_no_reading(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    since = fleet.mark()
    hour = node.now_us // 3_600_000_000
    node.wait(5 * 3600)
    node.reset("pin")
    fleet.wait_report(node, 900)
    times = [one.time_us for one in fleet.readings(node, "gas_volume", since)]
    slots = [time_us // 3_600_000_000 for time_us in times]
    # The first hour may be one that the node has had already: its clock was put back since.
    assert set(slots) >= {hour + n for n in range(2, 6)}
    assert len(set(times)) == len(times), "each once"


@pytest.mark.requirement("K-BOOT-05")
def test_a_technician_has_the_prompt_and_the_node_runs_on(node: Node, fleet: Fleet) -> None:
    since = fleet.reported_us(node)
    assert node.prompt.eval("6 * 7") == 42
    with node.prompt.visit() as repl:
        assert repl.execute("import sys; print(sys.platform)").strip() == "esp32"
    fleet.wait_report(node, 900, since)
