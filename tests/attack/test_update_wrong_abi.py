"""Attack: wrong ABI. A true release whose bytecode this runtime does not execute."""

from collections.abc import Iterator

import pytest
import update_rig as rig
from node.wire import release
from update_rig import NEW, OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


@pytest.mark.parametrize(
    "abi", [(0x0500, 0x05FF), (0x0604, 0x0700), (0, 0x0602), (0xFFFF, 0xFFFF)]
)
def test_bytecode_of_another_version_is_refused(board: Board, abi: tuple[int, int]) -> None:
    board.give(rig.offer(abi=abi))
    assert board.go() == [(1, release.WRONG_ABI, 100)]
    assert board.runs == OLD


def test_without_the_guard_it_would_be_installed(board: Board) -> None:
    rig.sabotage(
        "update/manifest.py",
        "if version == here.runtime and not m.abi[0] <= here.abi <= m.abi[1]:",
        "if False:",
    )
    board.give(rig.offer(abi=(0x0500, 0x05FF)))
    assert board.go() == [(1, 0, 0)]


@pytest.mark.parametrize("abi", [(0x0603, 0x0603), (0x0600, 0x06FF), (0, 0xFFFF)])
def test_what_it_executes_is_taken(board: Board, abi: tuple[int, int]) -> None:
    board.give(rig.offer(abi=abi))
    assert board.go() == [(1, 0, 0)]


@pytest.mark.parametrize("runtime", [(0, 1), (0xFFFFFF, 0xFFFFFF)])
def test_a_runtime_that_it_was_not_made_for_is_refused(
    board: Board, runtime: tuple[int, int]
) -> None:
    board.give(rig.offer(runtime=runtime))
    assert board.go() == [(1, release.WRONG_RUNTIME, 100)]


@pytest.mark.parametrize("need", [(0, OLD + 1), (4, 2), (3, 1), (1, 0x7FFFFFF)])
def test_what_it_needs_must_be_there_first(board: Board, need: tuple[int, int]) -> None:
    board.give(rig.offer(needs=[need]))
    assert board.go() == [(1, release.MISSING, 100)]
    assert board.runs != NEW
