"""How often events and the button have contact: a line that flaps must not empty the battery."""

import asyncio
from collections.abc import Iterator
from typing import Any

import cycle_rig
import pytest
from cycle_rig import BUTTON, CONFIG, TIMER, Board
from node.link.registration import AttachTimeout

EVENT, AT_ONCE = 1, 2
HOUR = 3600


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


class Quiet(cycle_rig.Role):
    """Wants nothing."""

    def due(self, now: int) -> Any:
        return None


def wake(board: Board, reason: int = TIMER, depth: int = 1, **config: Any) -> Any:
    """One wake; its cycle. `board.link.closed` counts the contacts."""
    board.journal = cycle_rig.Journal(depth)
    values = {**CONFIG, "report_records": 1000, "report_s": 86_400, **config}
    role, link = Quiet(), board.link
    made = board._cycle(values, board.state, board.journal, role, lambda: link)
    asyncio.run(made.run(reason))
    return made


def started(board: Board) -> None:
    """Behind the first contact, nothing due."""
    wake(board)
    board.state.set("next_report", board.now + 86_400)


def flap(board: Board, minutes: int, urgent: int) -> int:
    """An event a minute; the contacts."""
    before = board.link.closed
    for _ in range(minutes):
        board.now += 60
        board.state.set("urgent", urgent)
        wake(board)
    return board.link.closed - before


def test_a_line_that_flaps_has_a_few_contacts_an_hour(board: Board) -> None:
    started(board)
    assert flap(board, 600, EVENT) == 60


def test_what_waits_then_is_told_at_the_hour_s_end(board: Board) -> None:
    started(board)
    flap(board, 10, EVENT)
    made = wake(board)
    due = made.next_wake()
    assert HOUR - 600 <= due - board.now <= HOUR
    board.now = due
    before = board.link.closed
    wake(board)
    assert board.link.closed == before + 1
    assert not board.state.get("urgent")


def test_a_report_does_not_wait(board: Board) -> None:
    started(board)
    flap(board, 10, EVENT)
    board.state.set("next_report", board.now + 60)
    assert wake(board).next_wake() == board.now + 60
    board.now += 60
    before = board.link.closed
    wake(board)
    assert board.link.closed == before + 1


def test_what_closes_the_valve_and_whoever_waits_for_an_answer_wait_for_nothing(
    board: Board,
) -> None:
    started(board)
    flap(board, 10, EVENT)
    assert flap(board, 10, AT_ONCE) == 10
    board.state.set("urgent", AT_ONCE)
    assert wake(board, depth=0).next_wake() is None, "and it was told in that wake"


def test_but_for_the_network(board: Board) -> None:
    started(board)
    board.link.open = fails  # type: ignore[method-assign]
    assert flap(board, 60, AT_ONCE) <= 7


async def fails() -> None:
    raise AttachTimeout("no network")


def test_a_button_that_is_stuck_has_a_few_contacts_an_hour(board: Board) -> None:
    started(board)
    before = board.link.closed
    for _ in range(600):
        board.now += 60
        wake(board, BUTTON)
    assert board.link.closed - before == 60


def test_a_second_press_in_a_row_waits_as_all_do_when_the_network_fails(board: Board) -> None:
    started(board)
    board.state.set("retry", board.now + 600)
    before = board.link.closed
    board.link.open = fails  # type: ignore[method-assign]
    wake(board, BUTTON)
    assert board.link.closed == before + 1, "the first one waits for nothing"
    wake(board, BUTTON)
    assert board.link.closed == before + 1
    board.now = board.state.get("retry")
    wake(board, BUTTON)
    assert board.link.closed == before + 2


def test_a_supply_that_the_contact_breaks_down_is_not_asked_each_minute_without_a_clock(
    board: Board,
) -> None:
    board.now = 1000
    board.state.set("btn", 1)  # as GasMeter leaves it
    board.state.set("retry", 1600)
    wake(board, depth=0)
    assert board.link.closed == 0
    board.now = 1600
    wake(board, depth=0)
    assert board.link.closed == 2  # for the time, and with what there is to say


def test_a_clock_that_went_back_bars_nothing(board: Board) -> None:
    started(board)
    board.state.set("urg", [board.now + 86_400, 6])
    assert flap(board, 1, EVENT) == 1
