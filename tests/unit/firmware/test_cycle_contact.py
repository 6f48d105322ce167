"""What a contact does with receipts and with the fleet's items, and when it tells its status."""

import asyncio
from collections.abc import Iterator
from typing import Any

import cycle_rig
import esp32
import pytest
from cycle_rig import BUTTON, Board
from node.errors import CoapError, DeliverTimeout
from node.link.registration import AttachTimeout
from node.wire import cbor, receipt, uplink

APPLIED, HANDLED, REFUSED = uplink.APPLIED, uplink.HANDLED, uplink.REFUSED


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from cycle_rig.boards(monkeypatch)


def patch(number: int, **values: Any) -> tuple[int, int, bytes]:
    return number, receipt.CONFIG, cbor.encode(values)


def stored() -> Any:
    return cbor.decode(esp32.flash.kept["cfg"])


def standing() -> list[int | bytes]:
    """Applied, handled, refused, as NVS has them."""
    return [esp32.flash.kept.get(name, 0) for name in ("cfgn", "down", "refn")]


# -- reports and receipts -----------------------------------------------------------------------


def test_what_is_receipted_leaves_the_journal_and_only_the_last_report_is_the_last(
    board: Board,
) -> None:
    board.wake(60)
    assert [len(each.records) for each in board.link.reports] == [48, 12]
    assert board.link.last == [False, True]
    assert board.journal.depth == 0
    assert board.link.closed == 1


def test_a_contact_that_fails_half_way_keeps_what_has_its_receipt(board: Board) -> None:
    board.link.answers = [(), CoapError("5.03", 0xA3)]
    board.wake(60)
    assert sorted(board.journal.records) == list(range(49, 61))
    assert (board.state.get("error"), board.state.get("cause")) == (CoapError.code, 0xA3)
    assert board.state.get("fails") == 1


def test_a_contact_has_only_what_polling_left_of_the_cap(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poller(cycle_rig.Role):
        async def poll(self, now: int) -> None:
            board.ticks += 20_000

    monkeypatch.setattr(cycle_rig, "Role", Poller)
    real: Any = getattr(asyncio, "wait_for_ms")  # noqa: B009  MicroPython's
    caps: list[int] = []

    def noted(what: Any, cap_ms: int) -> Any:
        caps.append(cap_ms)
        return real(what, cap_ms)

    monkeypatch.setattr(asyncio, "wait_for_ms", noted, raising=False)
    board.wake(1)
    assert caps[:2] == [30_000, 60_000 - 15_000 - 20_000], "the watchdog counts from the wake on"


def test_the_button_asks_the_fleet_even_with_nothing_to_report(board: Board) -> None:
    board.state.set("told", [board.now, b""])
    board.link.answers = [[patch(1, report_s=7200)]]
    cycle = board.wake(0, BUTTON)
    assert (board.link.polls, board.link.reports) == (1, [])
    assert cycle.reconfigured
    assert standing() == [1, 1, 0]


def test_the_buttons_contact_that_failed_is_made_again_with_nothing_to_report(
    board: Board,
) -> None:
    board.state.set("told", [board.now, b""])
    board.link.answers = [DeliverTimeout("no receipt"), [patch(1, report_s=7200)]]
    again = board.wake(0, BUTTON).next_wake()
    assert board.now + 60 <= again <= board.now + 75
    board.now = again
    assert board.wake(0).reconfigured
    assert board.state.get("urgent") == 2, "the configuration on trial is told"


def test_no_door_is_opened_for_nothing(board: Board) -> None:
    board.now = 0  # no clock: the contact is for the time alone
    board.state.set("told", [0, b""])
    board.wake(0)
    assert (board.link.doors, board.link.closed) == (0, 1)


def test_after_power_came_back_the_fleet_hears_of_it_with_nothing_to_report(board: Board) -> None:
    board.now = 0
    board.wake(0)
    (hello,) = board.link.reports
    assert (hello.records, hello.status[uplink.DEPTH]) == ([], 0)
    assert board.state.get("told") is not None


# -- items --------------------------------------------------------------------------------------


def test_an_item_that_comes_with_both_receipts_is_handled_once(board: Board) -> None:
    board.link.answers = [[patch(1, report_s=7200)], [patch(1, report_s=7200), patch(2, x=1)]]
    cycle = board.wake(60)
    assert cycle.reconfigured
    assert stored()["report_s"] == 7200
    assert standing() == [1, 2, 2]
    assert board.state.get("items") == [1, 2, 2]


def test_what_was_handled_is_not_fetched_again(board: Board) -> None:
    board.link.stored = {1: bytes(1000)}
    for _ in range(2):
        board.link.answers = [[(1, receipt.KEY, 1000)]]
        board.wake()
    assert board.link.fetched == [1]
    assert standing() == [0, 1, 1]


def test_attack_an_item_of_any_size_does_not_fill_the_heap(board: Board) -> None:
    board.link.answers = [[(1, receipt.KEY, 65535)]]
    board.wake()
    assert board.link.fetched == []
    assert standing() == [0, 1, 1]


def test_attack_an_update_that_is_none_moves_no_counter(board: Board) -> None:
    board.link.answers = [[(2**31 - 1, receipt.UPDATE, b"no assignment")]]
    board.wake()
    assert standing() == [0, 0, 0]


def test_a_fetch_that_fails_costs_neither_readings_nor_the_items_before_it(board: Board) -> None:
    board.link.stored = {2: CoapError("4.04", 0x84)}
    items = [patch(1, report_s=7200), (2, receipt.KEY, 1000), patch(3, report_s=60)]
    board.link.answers = [items]
    board.wake(3)
    assert board.journal.depth == 0
    assert board.state.get("fails") == 1
    assert (stored()["report_s"], standing()) == (7200, [1, 1, 0])
    board.link.stored = {2: bytes(1000)}
    board.link.answers = [items]
    board.wake()
    assert (stored()["report_s"], standing()) == (60, [3, 3, 2])


def test_an_item_that_breaks_the_node_does_not_have_the_contact_repeated(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> bool:
        raise MemoryError

    board.wake()
    from node import downlink  # the cycle has forgotten the one before

    monkeypatch.setattr(downlink, "handle", breaks)
    board.link.answers = [[patch(1, report_s=7200)]]
    with pytest.raises(MemoryError):
        board.wake(3)
    assert board.journal.depth == 0
    board.state.load()  # as after the crash
    assert board.now < board.state.get("next_report") <= board.now + 3825  # and a sixteenth
    assert board.state.get("told")


def test_a_trial_that_is_given_up_restarts_the_node_whatever_else_the_contact_brings(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.link.answers = [[patch(1, report_s=7200)]]
    board.wake()
    esp32.flash.kept["cfgt"] = 3
    # The last contact of the trial fails, by a receipt that covers nothing, and brings an item.
    monkeypatch.setattr(cycle_rig.Journal, "trim", lambda *_: 0)
    board.link.answers = [[(2, receipt.UPDATE, b"")]]
    assert board.wake().reconfigured
    assert stored()["report_s"] == 3600


def test_a_flash_that_keeps_no_item_is_told(board: Board) -> None:
    esp32.flash.full = True
    board.link.answers = [[patch(1, report_s=7200)]]
    assert not board.wake().reconfigured
    assert (board.state.get("error"), standing()) == (2, [0, 0, 0])
    board.wake()
    assert board.status()[uplink.ERROR] == 2


# -- status -------------------------------------------------------------------------------------


def test_the_status_is_told_once_a_day(board: Board) -> None:
    board.wake(60)
    assert [bool(each.status) for each in board.link.reports] == [True, False]
    told = []
    for _ in range(48):
        board.now += 3600
        board.wake()
        told.append(bool(board.status()))
    assert [hour for hour, each in enumerate(told, 1) if each] == [24, 48]


def test_what_runs_is_told_with_what_is_news_and_not_every_day(board: Board) -> None:
    board.wake()
    assert uplink.RUNTIME in board.status()
    board.now += 86_400
    board.wake()
    assert board.status()
    assert uplink.RUNTIME not in board.status()
    board.state.set("failed", 3)
    board.wake()
    assert uplink.RUNTIME in board.status()


def test_the_status_is_told_at_once_where_something_is_news(board: Board) -> None:
    board.wake()
    board.wake()
    assert not board.status()
    for key, number in ((uplink.ERROR, AttachTimeout.code), (uplink.FAILED_WAKES, 1)):
        board.state.set({uplink.ERROR: "error", uplink.FAILED_WAKES: "failed"}[key], number)
        board.wake()
        assert board.status()[key] == number
        board.wake()
        assert not board.status()
    board.state.set("rungs", [1, 0, 0, 0, 0])
    board.wake()
    assert board.status()[8] == 1


def test_a_node_that_lost_its_power_tells_where_it_stands(board: Board) -> None:
    esp32.flash.kept.update(cfgn=7, down=9, refn=8)
    board.wake()
    status = board.status()
    assert [status[key] for key in (APPLIED, HANDLED, REFUSED)] == [7, 9, 8]
    assert status[uplink.DEPTH] == 1


def test_the_report_behind_an_item_tells_what_became_of_it(board: Board) -> None:
    board.link.answers = [[patch(4, report_s=7200), patch(5, pins={})]]
    board.wake()
    assert HANDLED not in board.status()
    board.wake()
    status = board.status()
    assert [status[key] for key in (APPLIED, HANDLED, REFUSED)] == [4, 5, 5]
    board.wake()
    assert not board.status()


@pytest.mark.parametrize("sabotaged", [False, True])
def test_a_status_without_a_receipt_is_told_again_and_lost_when_noted_before(
    board: Board, monkeypatch: pytest.MonkeyPatch, sabotaged: bool
) -> None:
    board.wake()
    board.state.set("items", [0, 5, 0])
    board.link.answers = [CoapError("5.03", 0xA3)]
    if sabotaged:
        from node import reports  # the cycle has forgotten the one before

        make = reports.make

        def hasty(*args: Any) -> Any:
            made, telling = make(*args)
            board.state.set("told", telling)
            return made, telling

        monkeypatch.setattr(reports, "make", hasty)
    board.wake()
    assert board.status()[HANDLED] == 5
    for key in ("error", "cause", "failed"):  # of the failure, which would be news besides
        board.state.set(key, 0)
    board.wake()
    assert (HANDLED in board.status()) is not sabotaged
