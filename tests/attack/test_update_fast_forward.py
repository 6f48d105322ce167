"""Attack: fast-forward. A release with a sequence so high that no later one can ever follow."""

from collections.abc import Iterator

import pytest
import update_rig as rig
from node.wire import release
from update_rig import OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


FAR = OLD + release.MAX_JUMP + 1


def far(sequence: int = FAR, signers: tuple[str, ...] = ("release",)) -> rig.Offer:
    return rig.offer(release.DEFLATED, rig.image(sequence), sequence=sequence, signers=signers)


def test_a_jump_by_the_release_key_alone_is_refused(board: Board) -> None:
    board.give(far())
    assert board.go() == [(1, release.JUMP, 100)]
    assert board.runs == OLD


def test_without_the_guard_it_would_be_installed(board: Board) -> None:
    rig.sabotage(
        "update/manifest.py", "if m.sequence > here.floor + release.MAX_JUMP:", "if False:"
    )
    board.give(far())
    assert board.go() == [(1, 0, 0)]


def test_the_furthest_that_is_no_jump(board: Board) -> None:
    board.give(far(FAR - 1))
    assert board.go() == [(1, 0, 0)]
    assert board.runs == FAR - 1


def test_one_root_key_is_not_enough(board: Board) -> None:
    board.give(far(signers=("release", "root0")))
    assert board.go() == [(1, release.JUMP, 100)]


@pytest.mark.parametrize("signers", [("root0", "root2"), ("root2", "root1")])
def test_two_root_keys_recover_a_fleet(board: Board, signers: tuple[str, ...]) -> None:
    board.give(far(release.MAX_SEQUENCE - 1, signers))
    assert board.go() == [(1, 0, 0)]
    assert board.nvs["seq"] == release.MAX_SEQUENCE - 1
