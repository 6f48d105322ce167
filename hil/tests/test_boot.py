"""Boot, and the causes of resets."""

import json

import pytest

from hil.fleet import Fleet
from hil.node import Node


@pytest.mark.requirement("K-BOOT-01")
def test_a_provisioned_node_starts_by_itself_and_reports(node: Node, fleet: Fleet) -> None:
    mark, since = node.console.mark(), fleet.reported_us(node)
    node.reset("power")
    told = json.loads(node.console.expect(r"kapok-selftest (\{.*\})\n", 60, mark)[1])
    assert (told["provisioned"], told["vfs"], told["nvs"]) == (True, True, True)
    fleet.wait_report(node, 900, since)


@pytest.mark.requirement("K-BOOT-02")
def test_the_button_on_en_is_told_as_a_power_on(node: Node) -> None:
    mark = node.console.mark()
    node.reset("pin")
    assert node.console.expect(r"rst:0x1 \((POWERON\w*)\)", 60, mark)
    told = json.loads(node.console.expect(r"kapok-selftest (\{.*\})\n", 60, mark)[1])
    assert told["cause"] == 1


@pytest.mark.requirement("K-BOOT-05")
def test_a_technician_has_the_prompt_and_the_node_runs_on(node: Node, fleet: Fleet) -> None:
    since = fleet.reported_us(node)
    assert node.prompt.eval("6 * 7") == 42
    with node.prompt.visit() as repl:
        assert repl.execute("import sys; print(sys.platform)").strip() == "esp32"
    fleet.wait_report(node, 900, since)
