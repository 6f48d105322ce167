"""When a node reports: at a moment of its own, so that no hour storms a cell; and polling."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import cycle_rig
import pytest
from cycle_rig import CONFIG, NOW, TIMER, Board
from node.link.registration import AttachTimeout

DAY = 86400
MIDNIGHT = NOW - NOW % DAY
CITY = 2_000


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


class Grid(cycle_rig.Role):
    """Samples at the full hour."""

    def due(self, now: int) -> int:
        return now - now % 3600 + 3600


def cycle(board: Board, node: str = "1gntj14d2p", role: Any = None, **config: Any) -> Any:
    values = {**CONFIG, "node": node, **config}
    return board._cycle(values, board.state, board.journal, role or Grid(), lambda: board.link)


def city() -> list[str]:
    chance = random.Random(1)
    return ["".join(chance.choices("0123456789abcdefghjkmnpqrstvwxyz", k=10)) for _ in range(CITY)]


def busiest_minute(board: Board, report_s: int) -> float:
    """Of all nodes' next reports: the share that falls into one minute."""
    board.now = MIDNIGHT
    minutes: Counter[int] = Counter()
    for node in city():
        made = cycle(board, node, report_s=report_s)
        made._contacted()
        minutes[board.state.get("next_report") // 60] += 1
    return max(minutes.values()) / CITY


@pytest.mark.parametrize("report_s", [3600, 21600, DAY])
def test_a_city_s_reports_are_spread_over_the_whole_period(board: Board, report_s: int) -> None:
    even = 60 / report_s
    assert busiest_minute(board, report_s) < even + 8 * (even / CITY) ** 0.5


def test_sabotage_without_a_place_of_its_own_every_node_reports_at_midnight(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    import binascii

    monkeypatch.setattr(binascii, "crc32", lambda data: 0)
    assert busiest_minute(board, DAY) == 1.0


def test_the_day_s_report_has_a_wake_of_its_own_and_the_same_place_each_day(board: Board) -> None:
    board.now = MIDNIGHT
    contacts: list[int] = []
    while len(contacts) < 4:
        board.journal = cycle_rig.Journal(min(1 + (board.now - MIDNIGHT) // 3600, 24))
        made = cycle(board, report_s=DAY, report_records=1000)
        before = len(board.link.reports)
        asyncio.run(made.run(TIMER))
        if len(board.link.reports) > before:
            contacts.append(board.now)
        if not board.journal.depth:
            board.journal = cycle_rig.Journal(1)
        board.now = made.next_wake()
    places = {at % DAY for at in contacts[1:]}
    assert len(places) == 1
    assert places.pop() % 3600 != 0
    assert [b - a for a, b in pairwise(contacts[1:])] == [DAY, DAY]


def test_a_node_with_enough_records_reports_soon_but_not_at_the_full_hour(board: Board) -> None:
    board.state.set("next_report", NOW + 5 * DAY)
    board.now = NOW - NOW % 3600
    board.journal = cycle_rig.Journal(2)
    made = cycle(board, report_s=DAY)
    asyncio.run(made.run(TIMER))
    assert not board.link.reports
    at = made.next_wake()
    assert board.now < at <= board.now + 3600
    board.now = at
    made = cycle(board, report_s=DAY)
    asyncio.run(made.run(TIMER))
    assert len(board.link.reports) == 1


def test_what_is_urgent_waits_for_no_place(board: Board) -> None:
    board.state.set("next_report", NOW + DAY)
    board.state.set("urgent", 1)
    board.journal = cycle_rig.Journal(1)
    asyncio.run(cycle(board, report_s=DAY).run(TIMER))
    assert len(board.link.reports) == 1
    assert not board.state.get("urgent")


def test_a_failed_contact_has_its_retry_and_not_a_place(board: Board) -> None:
    board.link.answers = [AttachTimeout("none", 0)]
    board.journal = cycle_rig.Journal(1)
    made = cycle(board, report_s=DAY)
    asyncio.run(made.run(TIMER))
    assert NOW + 60 <= made.next_wake() <= NOW + 75


def test_a_moment_that_is_near_already_is_left_out(board: Board) -> None:
    """The chip wakes a little early and the contact sets its clock back: no second contact."""
    made = cycle(board, report_s=DAY)
    made._contacted()
    own = board.state.get("next_report")
    board.now = own - 30
    made._contacted()
    assert board.state.get("next_report") == own + DAY


class Polling(cycle_rig.Role):
    def __init__(self) -> None:
        self.log: list[Any] = []

    async def poll(self, now: int) -> None:
        self.log.append(("poll", now))

    def sense(self, now: int, reason: int, quality: int) -> None:
        self.log.append("sense")


def test_a_role_that_polls_does_so_before_it_senses(board: Board) -> None:
    role = Polling()
    asyncio.run(cycle(board, role=role).run(TIMER))
    assert role.log == [("poll", NOW), "sense"]


def test_a_poll_that_hangs_is_cut_and_costs_neither_sample_nor_contact(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = Polling()
    caps = []

    async def cut(coroutine: Any, ms: int) -> None:
        caps.append(ms)
        coroutine.close()
        raise TimeoutError

    made = cycle(board, role=role, awake_s=60)
    board.state.set("next_report", NOW + DAY)
    monkeypatch.setattr(asyncio, "wait_for_ms", cut)
    asyncio.run(made.run(TIMER))
    assert (caps, role.log) == ([30_000], ["sense"])
    assert board.state.get("log")
