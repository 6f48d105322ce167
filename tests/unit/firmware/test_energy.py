"""The energy ledger: every millisecond in one phase, sleep by the clock, the rest by ticks."""

from collections.abc import Iterator
from typing import Any

import cycle_rig
import pytest
from cycle_rig import Board

BOOT, SENSE, ATTACH, SEND, LISTEN, SLEEP, ULP, VALVE, WAKES, CONTACTS = range(10)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


def energy(board: Board) -> Any:
    from node.power.energy import Energy

    return Energy(board.state)


def test_each_moment_belongs_to_one_phase(board: Board) -> None:
    board.ticks = 250
    ledger = energy(board)
    board.ticks = 300
    ledger.woken(False)
    for phase, until in ((ATTACH, 400), (SEND, 1400), (LISTEN, 3400), (SENSE, 3500)):
        board.ticks = until
        if phase == ATTACH:
            ledger.contact()
        else:
            ledger.enter(phase)
    board.ticks = 3600
    ledger.rest()
    assert board.state.get("ph") == [300, 200, 1000, 2000, 100, 0, 0, 0, 1, 1]
    assert sum(board.state.get("ph")[:8]) == board.ticks


def test_sleep_is_told_by_the_clock_and_counting_by_the_co_processor(board: Board) -> None:
    energy(board).rest()
    board.now += 3599
    energy(board).woken(True)
    assert board.state.get("ph")[SLEEP : ULP + 1] == [3_599_000, 3_599_000]
    energy(board).rest()
    board.now += 10
    energy(board).woken(False)
    assert board.state.get("ph")[SLEEP : ULP + 1] == [3_609_000, 3_599_000]


@pytest.mark.parametrize("step", [-3600, 30 * 86400])
def test_a_clock_that_was_set_meanwhile_counts_as_no_sleep(board: Board, step: int) -> None:
    energy(board).rest()
    board.now += step
    energy(board).woken(True)
    assert board.state.get("ph")[SLEEP] == 0


def test_a_mains_node_idles_by_its_ticks_and_not_twice(board: Board) -> None:
    ledger = energy(board)
    ledger.woken(False)
    ledger.rest()
    board.ticks += 60_000
    board.now += 60
    ledger.woken(False)
    assert board.state.get("ph")[SLEEP] == 60_000


def test_a_driver_adds_what_it_timed_itself(board: Board) -> None:
    from node.power import energy as module

    module.add(board.state, VALVE, 5_600)
    module.add(board.state, VALVE, -1)
    assert board.state.get("ph")[VALVE] == 5_600


def test_a_contact_of_the_cycle_is_counted_where_its_time_went(board: Board) -> None:
    link = board.link

    async def late(name: str, by: int) -> Any:
        board.ticks += by
        return await getattr(type(link), name)(link)

    link.open = lambda: late("open", 700)  # type: ignore[method-assign]
    link.door = lambda: late("door", 300)  # type: ignore[method-assign]
    link.close = lambda: late("close", 40)  # type: ignore[method-assign]
    board.wake()
    spent = board.state.get("ph")
    assert spent[ATTACH : LISTEN + 1] == [700, 300, 40]
    assert spent[WAKES:] == [1, 1]


def test_the_ledger_is_reported_once_a_day_and_begins_anew(board: Board) -> None:
    told = []
    for _ in range(49):
        board.ticks += 1_234
        board.wake()
        records = [r for each in board.link.reports for r in each.records]
        told += [dict(r.values) for r in records if 110 in dict(r.values)]
        board.link.reports.clear()
        board.now += 3600
    assert len(told) == 2
    assert set(told[0]) == set(range(110, 123))
    assert [told[0][q] for q in (118, 119)] == [25, 25]


def test_without_a_period_no_ledger_is_reported(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cycle_rig.CONFIG, "ledger_s", 0)
    for _ in range(49):
        board.wake()
        board.now += 3600
    assert not any(110 in dict(r.values) for each in board.link.reports for r in each.records)
