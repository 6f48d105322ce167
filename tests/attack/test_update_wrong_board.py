"""Attack: wrong board, wrong role. A true release of other nodes is given to this one."""

from collections.abc import Iterator
from typing import Any

import pytest
import update_rig as rig
from node.wire import release
from update_rig import NEW, OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


WRONG = [
    ({"board": "esp32c3-bc95"}, release.WRONG_BOARD, "if m.board and m.board != here.board:"),
    ({"role": "lamppost"}, release.WRONG_ROLE, "if m.role and m.role != here.role:"),
]


@pytest.mark.parametrize(("changes", "result", "_guard"), WRONG)
def test_it_is_refused_by_its_manifest(
    board: Board, changes: dict[str, Any], result: int, _guard: str
) -> None:
    board.give(rig.offer(**changes))
    assert board.go() == [(1, result, 100)]
    assert board.runs == OLD
    # Of its stream the envelope was fetched, and no more.
    assert max(index for index, _ in board.fleet.asked) <= 1


@pytest.mark.parametrize(("changes", "_result", "guard"), WRONG)
def test_without_the_guard_it_would_be_installed(
    board: Board, changes: dict[str, Any], _result: int, guard: str
) -> None:
    rig.sabotage("update/manifest.py", guard, "if False:")
    board.give(rig.offer(**changes))
    assert board.go() == [(1, 0, 0)]


def test_a_node_that_was_told_no_board_takes_none_of_a_board(board: Board) -> None:
    board.config["board"] = ""
    board.give(rig.offer())
    assert board.go() == [(1, release.WRONG_BOARD, 100)]


def test_one_for_all_boards_and_roles_is_for_this_one(board: Board) -> None:
    board.give(rig.offer(board="", role=""))
    assert board.go() == [(1, 0, 0)]
    assert board.runs == NEW
