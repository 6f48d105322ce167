"""A configuration over the air: applied, refused key by key, and taken back by the node itself."""

import json
import zlib
from typing import Any

import pytest

from hil.fleet import Fleet
from hil.node import Node

HOUR_S = 3600
BELOW, UNKNOWN, BOARDS, REVERTED = 22, 20, 26, 12  # docs/protocol.md, what became of an item

pytestmark = pytest.mark.needs("stimulus")  # a button makes the contact that brings a patch


def told(fleet: Fleet, node: Node, number: int) -> set[tuple[int, int]]:
    """(result, detail) that the node's records told of a patch."""
    rows = fleet.rows(
        "SELECT told FROM downlinks WHERE node_id = ? AND number = ?", node.id, number
    )
    found: list[Any] = json.loads(rows[0][0] or "[]")
    return {(result, detail) for result, detail in found}


@pytest.mark.soak
@pytest.mark.requirement("K-CFG-01")
def test_a_patch_is_in_force_from_the_next_boot_on(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    node.wake()
    number = fleet.configure(node, {"report_s": HOUR_S, "report_records": 1}, HOUR_S)["number"]
    fleet.until(lambda: fleet.status(node)["configuration"]["applied"] == number, HOUR_S)
    found = fleet.status(node)["configuration"]
    assert (found["applied"], found["values"]["report_s"]) == (number, HOUR_S)
    node.until(lambda: node.asleep, 600)
    for _ in range(3):
        fleet.wait_report(node, 2.5 * HOUR_S)


@pytest.mark.requirement("K-CFG-02")
def test_a_patch_with_wrong_keys_changes_nothing_and_each_is_named(
    node: Node, fleet: Fleet
) -> None:
    node.to("asleep")
    node.wake()
    wrong = {"report_s": (5, BELOW), "colour": (1, UNKNOWN), "role": ("drainage", BOARDS)}
    patch = {"awake_s": 200, **{key: value for key, (value, _) in wrong.items()}}
    number = fleet.configure(node, patch, HOUR_S)["number"]
    fleet.until(lambda: len(told(fleet, node, number)) == len(wrong), HOUR_S)
    expected = {(code, zlib.crc32(key.encode())) for key, (_, code) in wrong.items()}
    assert told(fleet, node, number) == expected
    found = fleet.status(node)["configuration"]
    assert found["refused"] == number
    assert "awake_s" not in found["values"]


@pytest.mark.requirement("K-CFG-03")
def test_a_patch_that_cuts_the_node_off_is_taken_back_by_it(node: Node, fleet: Fleet) -> None:
    node.to("asleep")
    node.hurry(20)
    node.wake()
    number = fleet.configure(node, {"host": "nowhere.invalid"})["number"]
    handed = "SELECT handed_us FROM downlinks WHERE node_id = ? AND number = ?"
    fleet.until(lambda: fleet.rows(handed, node.id, number)[0][0], HOUR_S)
    assert fleet.until(lambda: told(fleet, node, number) == {(REVERTED, 0)}, 3 * HOUR_S)
    assert "host" not in fleet.status(node)["configuration"]["values"]
