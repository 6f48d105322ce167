"""What gets into a board's flash, and what is refused; by the code of `kapok flash`."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from fleet.flashing.flash_board import FAILED, FLASHED, UNCHANGED, Progress
from fleet.flashing.flash_order import prepare
from fleet.flashing.hardware import load_board, load_node_type, node_types
from hil.fleet import Fleet
from hil.node import Node
from hil.power import Power
from hil.tests.test_boot import SELFTEST


def other_chip(node: Node) -> str:
    """A node type whose board has another chip."""
    own = load_board(node.board).chip
    boards = {name: load_board(load_node_type(name).board) for name in node_types()}
    return next(name for name, board in boards.items() if board.chip != own)


@pytest.mark.requirement("K-FLASH-01", "K-FLASH-02")
@pytest.mark.start("flashed")
def test_what_was_flashed_reads_back_byte_by_byte(node: Node, tmp_path: Path) -> None:
    port = node.line.port()
    plan = prepare(node.type, None, [port]).make(None, tmp_path)
    checked = []
    for row in load_board(node.board).table:
        for piece in plan.pieces:
            if piece.offset == row.offset and row.label not in ("vfs", "nvs", "otadata"):
                there = node.flash.read(row.label)[: piece.size]
                wanted = Path(piece.path).read_bytes()
                assert sha256(there).digest() == sha256(wanted).digest(), row.label
                checked.append(row.label)
    assert "ota_0" in checked
    assert "rescue" in checked


@pytest.mark.requirement("K-FLASH-04")
def test_a_second_flash_writes_no_program_again_and_the_node_goes_on(
    node: Node, fleet: Fleet
) -> None:
    was = node.flash.configuration()
    result = node.flash.try_flash(node.type)
    assert result.result in (UNCHANGED, FLASHED), result.error
    assert set(result.written) <= {"vfs"}, "its files have changed since, and no program has"
    mark, since = node.console.mark(), fleet.reported_us(node)
    node.reset("pin")
    assert json.loads(node.console.expect(SELFTEST, 60, mark)[1])["provisioned"]
    fleet.wait_report(node, 900, since)
    assert node.flash.configuration() == was
    assert was["node"] == node.id


@pytest.mark.requirement("K-FLASH-05")
def test_firmware_for_another_chip_is_refused_and_nothing_is_written(
    node: Node, fleet: Fleet
) -> None:
    result = node.flash.try_flash(other_chip(node))
    assert (result.result, result.written) == (FAILED, ())
    assert load_board(node.board).chip in result.error
    refused = node.flash.try_provision(
        other_chip(node), fleet.enrol_url, fleet.token(node.type), {}
    )
    assert refused.done is None
    node.reset("pin")
    fleet.wait_report(node, 900)


@pytest.mark.requirement("K-FLASH-03")
@pytest.mark.needs("power")
@pytest.mark.start("flashed")
def test_a_board_unplugged_while_it_is_flashed_is_mended_by_the_same_command(
    node: Node, power: Power
) -> None:
    cut: list[str] = []

    def unplug(progress: Progress) -> None:
        if progress.fraction > 0.3 and not cut:
            cut.append(progress.phase)
            node.unplug()

    node.blank()
    result = node.flash.try_flash(node.type, everything=True, on_progress=unplug)
    assert cut
    assert result.result == FAILED
    assert cut[0] in result.error, "it says where it was"
    power.off()
    power.on()
    again = node.flash.try_flash(node.type)
    assert again.result == FLASHED, again.error
    mark = node.console.mark()
    node.reset("pin")
    assert json.loads(node.console.expect(SELFTEST, 60, mark)[1])["vfs"]
