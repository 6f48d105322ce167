"""A contact that failed is tried again by chance, not to the second."""

import asyncio
import os
from collections.abc import Iterator

import cycle_rig
import pytest
from cycle_rig import CONFIG, TIMER, Board
from node.link.registration import AttachTimeout


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


@pytest.mark.parametrize(("drawn", "wait"), [(0, 60), (128, 67), (255, 74)])
def test_chance_parts_nodes_that_failed_together(
    board: Board, monkeypatch: pytest.MonkeyPatch, drawn: int, wait: int
) -> None:
    monkeypatch.setattr(os, "urandom", lambda count: bytes((drawn,)) * count)
    board.link.answers = [AttachTimeout("none", 0)]
    board.journal, link = cycle_rig.Journal(1), board.link
    made = board._cycle(CONFIG, board.state, board.journal, cycle_rig.Role(), lambda: link)
    asyncio.run(made.run(TIMER))
    assert board.state.get("retry") == board.now + wait
