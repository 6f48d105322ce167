"""A configuration on trial with which lives end before their contact is taken back at a boot."""

import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import cycle_rig
import esp32
import pytest
from cycle_rig import CONFIG, Board
from firmware_modules import forget
from node.store.rtcstate import WARM, RtcState
from node.wire import cbor

PWRON, WDT, DEEPSLEEP = 1, 3, 4
REVERTED = 12
BAD = {**CONFIG, "report_s": 7200}


class Reset(Exception):
    """machine.reset."""


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    for made in cycle_rig.boards(monkeypatch):
        machine: Any = sys.modules["machine"]
        machine.PWRON_RESET, machine.WDT_RESET, machine.DEEPSLEEP_RESET = PWRON, WDT, DEEPSLEEP
        machine.wake_reason = lambda: 0
        machine.ULP_WAKE = 6
        machine.WDT = lambda timeout: None
        machine.RTC = lambda memory=made._rtc: types.SimpleNamespace(memory=memory)
        machine.reset = reset
        forget("app", "health", "configure", "roles", "store.lazy")
        yield made


def reset() -> None:
    raise Reset


def app(monkeypatch: pytest.MonkeyPatch, cause: int, opened: Any = None) -> Any:
    """A boot for `cause`; its role is `opened()`."""
    module = importlib.import_module("node.app")
    sys.modules["machine"].reset_cause = lambda: cause  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "Role", lambda *_: (opened or cycle_rig.Role)())
    return module.App()


def on_trial(board: Board) -> None:
    held = [cbor.encode(CONFIG), 3, 7]
    esp32.flash.kept.update(
        cfg=cbor.encode(BAD), cfgp=cbor.encode(held), cfgt=0, down=7, cfgn=7, refn=0
    )
    board.state.save()


def kept(board: Board) -> Any:
    state = RtcState(board._rtc)
    assert state.load() == WARM
    return state


def hang() -> None:
    raise Reset("the watchdog bites")


def test_hangs_of_the_role_s_constructor_end_a_trial(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_trial(board)
    for bites in (0, 1, 2):
        with pytest.raises(Reset):
            app(monkeypatch, PWRON if not bites else WDT, hang)
        assert cbor.decode(esp32.flash.kept["cfg"]) == BAD
        assert kept(board).get("crn", 0) == bites
    with pytest.raises(Reset):
        app(monkeypatch, WDT, hang)
    assert cbor.decode(esp32.flash.kept["cfg"]) == CONFIG
    assert "cfgt" not in esp32.flash.kept
    assert esp32.flash.kept["refn"] == 7
    state = kept(board)
    assert (state.get("crn"), state.get("back")) == (0, 7)
    made = app(monkeypatch, PWRON)
    assert made.config["report_s"] == CONFIG["report_s"]


@pytest.mark.parametrize(("crashes", "taken"), [(2, False), (3, True)])
def test_so_do_exceptions_which_the_supervisor_sleeps_off(
    board: Board, monkeypatch: pytest.MonkeyPatch, crashes: int, taken: bool
) -> None:
    board.state.set("crn", crashes)
    on_trial(board)
    if taken:
        with pytest.raises(Reset):
            app(monkeypatch, DEEPSLEEP)
    else:
        app(monkeypatch, DEEPSLEEP)
    assert (cbor.decode(esp32.flash.kept["cfg"]) == CONFIG) is taken


def test_a_proved_configuration_stays_whatever_dies(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.state.set("crn", 9)
    board.state.save()
    app(monkeypatch, DEEPSLEEP)
    assert cbor.decode(esp32.flash.kept["cfg"]) == CONFIG


def test_a_full_nvs_leaves_the_node_what_it_has(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.state.set("crn", 3)
    on_trial(board)
    esp32.flash.full = True
    app(monkeypatch, DEEPSLEEP)
    assert cbor.decode(esp32.flash.kept["cfg"]) == BAD


def test_a_cold_boot_keeps_its_state_before_it_opens_its_role(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.memory = b""
    with pytest.raises(Reset):
        app(monkeypatch, PWRON, hang)
    for bites in (1, 2):
        with pytest.raises(Reset):
            app(monkeypatch, WDT, hang)
        assert kept(board).get("crn") == bites


def test_what_was_taken_back_is_told_at_once(board: Board) -> None:
    board.state.set("back", 7)
    board.wake(0)
    (report,) = board.link.reports
    told = [dict(record.values) for record in report.records]
    assert {900: 7, 901: REVERTED, 902: 0} in told
    board.link.reports.clear()
    board.wake(0)
    assert not [r for each in board.link.reports for r in each.records]
