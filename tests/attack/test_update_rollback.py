"""Attack: rollback. An old release, signed once and vulnerable since, is given to a node again."""

from collections.abc import Iterator

import pytest
import update_rig as rig
from hypothesis import given, settings
from hypothesis import strategies as st
from node.wire import release
from update_rig import NEW, OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def older(sequence: int = OLD - 1) -> rig.Offer:
    return rig.offer(release.DEFLATED, rig.image(sequence), sequence=sequence)


def test_an_older_release_is_refused_before_anything_is_fetched(board: Board) -> None:
    board.give(older())
    assert board.go() == [(1, release.OLDER, 100)]
    assert board.fleet.asked == []
    assert board.runs == board.nvs["seq"] == OLD


def test_without_the_guard_it_would_be_installed(board: Board) -> None:
    rig.sabotage("update/manifest.py", "if sequence < here.floor:", "if False:")
    board.give(older())
    assert board.go() == [(1, 0, 0)]
    assert board.runs == OLD - 1


def test_what_runs_is_not_installed_again(board: Board) -> None:
    board.give(rig.offer(release.DEFLATED, rig.image(OLD), sequence=OLD))
    assert board.go() == [(1, release.ALREADY, 100)]


def test_where_nvs_was_wiped_the_image_that_runs_is_the_floor(board: Board) -> None:
    del board.nvs["seq"]
    board.give(older())
    assert board.go() == [(1, release.OLDER, 100)]
    assert board.runs == OLD


def test_a_lower_sequence_in_the_assignment_than_in_the_manifest(board: Board) -> None:
    """The assignment is the online fleet's: it cannot rename what the release key signed."""
    old = older(OLD - 1)
    board.give(old, sequence=NEW)
    assert board.go() == [(1, release.MALFORMED, 100)]
    assert board.runs == OLD


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(OLD - 2, OLD + 3), st.booleans()), min_size=1, max_size=5))
def test_in_any_order_and_with_power_cuts_the_sequence_never_falls(
    offers: list[tuple[int, bool]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for board in rig.boards(patch):
            floor = OLD
            for number, (sequence, cut) in enumerate(offers, 1):
                offer = rig.offer(release.DEFLATED, rig.image(sequence), sequence=sequence)
                board.give(offer, number)
                board.fleet.results.clear()
                board.go(4 if cut else 60)
                if cut:
                    board.cut()
                    board.go()
                assert board.nvs["seq"] >= floor
                assert board.runs >= floor
                floor = board.nvs["seq"]
