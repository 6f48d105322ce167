"""Of what a node died, how its supply failed, and what of it the fleet hears."""

import binascii
import sys
import traceback
import types
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import cycle_rig
import esp32
import pytest
from cycle_rig import Board
from firmware_modules import fresh
from node.errors import CoapError
from node.store.rtcstate import COLD, WARM
from node.wire import receipt

CRASH, BROWN_OUT = 1080, 1081
PWRON, WDT, DEEPSLEEP = 1, 3, 4


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    for made in cycle_rig.boards(monkeypatch):
        machine: Any = sys.modules["machine"]
        machine.PWRON_RESET, machine.WDT_RESET, machine.DEEPSLEEP_RESET = PWRON, WDT, DEEPSLEEP
        machine.wake_reason = lambda: 0
        memory = made._rtc
        machine.RTC = lambda memory=memory: types.SimpleNamespace(memory=memory)
        monkeypatch.setattr(sys, "print_exception", printed, raising=False)
        monkeypatch.setattr("gc.mem_free", lambda: 54_321, raising=False)
        yield made


def printed(error: Exception, file: Any) -> None:
    """As MicroPython prints it: two blanks, File and line, and no source."""
    file.write("Traceback (most recent call last):\n")
    for frame in traceback.extract_tb(error.__traceback__):
        file.write(f'  File "node.cycle", line {frame.lineno}, in {frame.name}\n')
    file.write(f"{type(error).__name__}: {error}\n")


def fails(text: str) -> Exception:
    try:
        raise ValueError(text)
    except ValueError as e:
        return e


def health() -> Any:
    return fresh("health")  # else it may hold another test's machine


def values(board: Board) -> list[dict[int, int]]:
    """Of the newest contact's records."""
    return [dict(r.values) for each in board.link.reports for r in each.records]


def test_a_crash_is_reported_with_the_next_contact_and_once(board: Board) -> None:
    board.state.save()
    health().crashed(fails("at 17"))
    board.state.load()
    board.wake()
    (crash,) = [each for each in values(board) if 910 in each]
    assert crash[911] == binascii.crc32(b"node.cycle")
    assert crash[912] == fails.__code__.co_firstlineno + 2
    assert (crash[913], crash[914]) == (54_321, 4)
    assert [each[CRASH] for each in values(board) if CRASH in each] == [1]
    board.link.reports.clear()
    board.wake()
    assert not any(910 in each or CRASH in each for each in values(board))


def test_a_crash_is_news_enough_for_a_contact_without_records(board: Board) -> None:
    board.wake()
    board.link.reports.clear()
    board.state.save()
    for _ in range(3):
        health().crashed(fails("x"))
    board.state.load()
    board.wake(0)
    assert [each[CRASH] for each in values(board) if CRASH in each] == [1]
    assert board.state.get("crn") == 0


def test_the_same_fault_has_the_same_hash_whatever_its_text(board: Board) -> None:
    found = []
    for text in ("at 17", "at 18"):
        board.state.save()
        health().crashed(fails(text))
        board.state.load()
        found.append(board.state.get("crash")[0])
    assert found[0] == found[1] != 0


def test_a_crash_that_no_receipt_covers_is_not_lost(board: Board) -> None:
    board.state.save()
    health().crashed(fails("x"))
    board.state.load()
    board.link.answers = [CoapError("5.03", 0xA3)]
    board.wake()
    kept = [body for body in board.journal.records.values() if b"\x19\x03\x8e" in body]
    assert len(kept) == 1  # 910, in the journal until there is a receipt


def test_sabotage_a_crash_that_nobody_kept_is_never_heard_of(board: Board) -> None:
    board.state.save()
    board.state.load()
    board.wake()
    assert not any(910 in each for each in values(board))


def test_a_broken_traceback_does_not_hide_the_crash(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "print_exception", lambda e, file: file.write("?"), raising=False)
    board.state.save()
    health().crashed(fails("x"))
    board.state.load()
    assert board.state.get("crash")[2:] == [0, 54_321, 4]


@pytest.mark.parametrize(
    ("cause", "kept", "dips"), [(PWRON, WARM, 1), (PWRON, COLD, 0), (WDT, WARM, 0)]
)
def test_a_power_on_that_left_rtc_memory_whole_was_a_brown_out(
    board: Board, cause: int, kept: int, dips: int
) -> None:
    sys.modules["machine"].reset_cause = lambda: cause  # type: ignore[attr-defined]
    health().booted(board.state, kept)
    assert esp32.flash.kept["rst"] == 1
    assert esp32.flash.kept.get("bro", 0) == dips
    board.wake()
    assert sum(each.get(BROWN_OUT, 0) for each in values(board)) == dips


def test_the_cause_of_a_reset_is_told_once_whichever_life_reports(board: Board) -> None:
    machine: Any = sys.modules["machine"]
    machine.reset_cause = lambda: DEEPSLEEP
    board.wake()
    machine.reset_cause = lambda: WDT  # RTC memory lives through it, and this life reports nothing
    health().booted(board.state, WARM)
    machine.reset_cause = lambda: DEEPSLEEP
    causes = []
    for _ in range(2):
        board.link.reports.clear()
        board.now += 3600
        board.wake()
        causes += [each.status.get(2) for each in board.link.reports]
    assert causes == [WDT, None]


def test_a_watchdog_s_bite_is_a_crash_without_a_traceback(board: Board) -> None:
    sys.modules["machine"].reset_cause = lambda: WDT  # type: ignore[attr-defined]
    board.state.set("mute", b"poll")
    health().booted(board.state, WARM)
    board.wake()
    (crash,) = [each for each in values(board) if 910 in each]
    assert (crash[910], crash[911], crash[914]) == (0, binascii.crc32(b"poll"), WDT)


def test_an_event_of_the_node_ends_when_a_day_passed_without_it(board: Board) -> None:
    board.wake()
    health().happened(board.state, 81)
    seen = []
    for _ in range(50):
        board.link.reports.clear()
        board.wake()
        seen += [each[BROWN_OUT] for each in values(board) if BROWN_OUT in each]
        board.now += 3600
    assert seen == [1, 0]


def test_the_ledger_s_record_keeps_the_column_of_times_even(board: Board) -> None:
    """Its time is when the next sample is due: else each record's time takes bits of its own."""
    journal = cycle_rig.Journal(0)
    from node.wire import uplink

    for hour in range(24):
        journal.append(uplink.encode_body(board.now - 86_400 + 3600 * hour, 0, [(1, hour)]))
    health().tell(journal, board.state, board.now - 1800, True)
    times = [uplink.body_time(body) for body in journal.records.values()]
    assert {b - a for a, b in pairwise(times)} == {3600}


def test_a_full_nvs_costs_a_count_and_nothing_else(board: Board) -> None:
    esp32.flash.full = True
    sys.modules["machine"].reset_cause = lambda: PWRON  # type: ignore[attr-defined]
    health().booted(board.state, WARM)
    board.wake()
    assert board.journal.depth == 0
    assert receipt


@pytest.mark.parametrize("pending", [False, True])
def test_each_bite_of_the_watchdog_is_a_life_that_ended_early(board: Board, pending: bool) -> None:
    sys.modules["machine"].reset_cause = lambda: WDT  # type: ignore[attr-defined]
    if pending:
        board.state.set("crash", [1, 2, 3, 4, 5])
    for count in (1, 2, 3):
        health().booted(board.state, WARM)
        assert board.state.get("crn") == count
