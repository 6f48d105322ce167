"""Attack: freeze. Assignments that were true once are withheld, and played back when the fleet has
moved on; or those of another node, or number, are.
"""

from collections.abc import Iterator

import pytest
import update_rig as rig
from node.wire import release
from update_rig import NEW, OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def test_a_stale_assignment_is_refused(board: Board) -> None:
    board.give(rig.offer(), expiry=rig.NOW - 1)
    assert board.go() == [(1, release.STALE, 100)]
    assert board.fleet.asked == []
    assert board.runs == OLD


def test_without_the_guard_it_would_be_installed(board: Board) -> None:
    rig.sabotage("update/work.py", "if clock.now() > expiry:", "if False:")
    board.give(rig.offer(), expiry=rig.NOW - 1)
    assert board.go() == [(1, 0, 0)]


def test_a_node_that_does_not_know_the_time_waits_for_it(board: Board) -> None:
    board.fleet.knows_time = False
    board.state.set("clock_sure", 0)
    board.give(rig.offer(), expiry=rig.NOW - 1)
    board.go(12)
    assert board.fleet.results == []
    assert board.runs == OLD
    board.fleet.knows_time = True
    assert board.go() == [(1, release.STALE, 100)]


def test_a_release_that_has_expired_is_refused(board: Board) -> None:
    board.give(rig.offer(expiry=rig.NOW - 1))
    assert board.go() == [(1, release.STALE, 100)]
    assert board.runs == OLD


def test_an_assignment_under_another_number_is_nobodys(board: Board) -> None:
    """What was given once under number 1 is not given again under 2."""
    given = rig.offer()
    board.fleet.streams[2] = given.stream
    board.fleet.pending.append((2, 4, given.payload(1)))
    board.state.set("urgent", 2)
    board.go(4)
    assert board.stage == 0
    assert set(board.fleet.results) <= {(2, 2, 0)}, "FORGED"
    assert "down" not in board.nvs, "what is forged moves no counter"


def test_an_assignment_of_another_node_is_nobodys(board: Board) -> None:
    given = rig.offer()
    board.fleet.streams[1] = given.stream
    board.fleet.pending.append((1, 4, given.payload(1, hmac_key=bytes(32))))
    board.state.set("urgent", 2)
    board.go(4)
    assert board.stage == 0
    assert board.runs == OLD


def test_forged_assignments_cause_no_contacts_without_end(board: Board) -> None:
    board.fleet.pending.append((1, 4, rig.offer().payload(1, hmac_key=bytes(32))))
    board.state.set("urgent", 2)
    board.wake()
    assert not board.state.get("urgent")


def test_an_assignment_that_was_handled_is_not_taken_again(board: Board) -> None:
    given = rig.offer()
    board.give(given)
    assert board.go() == [(1, 0, 0)]
    board.fleet.pending.append((1, 4, given.payload(1)))
    board.state.set("urgent", 2)
    board.go(4, lambda: False)
    assert board.stage == 0
    assert board.runs == NEW
