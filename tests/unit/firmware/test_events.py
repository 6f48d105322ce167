"""Events: recorded when they begin and when they end, once each, whatever the journal does."""

from typing import Any

import esp32
import pytest
from node import events as module
from node.errors import JournalError
from node.events import Events

from fleet.wire import cbor

LEAK, TILT = 1, 7


@pytest.fixture(autouse=True)
def flash(monkeypatch: pytest.MonkeyPatch) -> esp32.Flash:
    made = esp32.Flash()
    monkeypatch.setattr(esp32, "flash", made)
    return made


class Journal:
    def __init__(self) -> None:
        self.records: list[Any] = []
        self.full = False

    def __call__(self) -> "Journal":
        return self

    def append(self, body: bytes, priority: int) -> int:
        if self.full:
            raise JournalError("no room")
        self.records.append((cbor.decode(body), priority))
        return len(self.records)


def make() -> tuple[Events, dict[str, Any], Journal]:
    class State(dict[str, Any]):
        def set(self, key: str, value: object) -> None:
            self[key] = value

    state, journal = State(), Journal()
    return Events(state, journal), state, journal


def test_an_event_is_recorded_when_it_begins_and_when_it_ends() -> None:
    events, state, journal = make()
    assert events.begin(LEAK, 100, 0, [(8, 40)])
    assert not events.begin(LEAK, 200, 0)
    assert state["urgent"] == 1
    assert events.end(LEAK, 300, 0)
    assert not events.end(LEAK, 400, 0)
    assert journal.records == [([100, 0, 1001, 1, 8, 40], 2), ([300, 0, 1001, 0], 2)]


def test_a_limit_must_be_passed_for_its_time() -> None:
    events, _, journal = make()
    for now, beyond in ((0, True), (50, False), (60, True), (159, True)):
        assert not events.watch(LEAK, beyond, not beyond, 100, now, 0)
    assert events.watch(LEAK, True, False, 100, 160, 0)
    assert events.watch(LEAK, False, False, 100, 170, 0), "between the two limits it stays on"
    assert not events.watch(LEAK, False, True, 100, 180, 0)
    assert [record[3] for record, _ in journal.records] == [1, 0]


def test_what_could_not_be_recorded_is_tried_again() -> None:
    events, state, journal = make()
    journal.full = True
    assert not events.begin(LEAK, 100, 0)
    assert not events.on(LEAK)
    journal.full = False
    assert events.begin(LEAK, 200, 0)
    assert state["events"] == [LEAK]


def test_what_was_on_when_power_was_lost_is_not_begun_again_and_ends() -> None:
    events, state, _ = make()
    events.begin(LEAK, 100, 0)
    events.begin(TILT, 100, 0)
    state["hush"] = [3, 250]
    module.keep(state)
    events, state, journal = make()
    assert state["hush"] == [3, 250]
    assert events.watch(LEAK, True, False, 0, 900, 0)
    assert not events.watch(TILT, False, True, 0, 900, 0)
    assert journal.records == [([900, 0, 1007, 0], 2)]


def test_flash_is_written_on_change_only_and_read_at_a_cold_start_only(flash: esp32.Flash) -> None:
    events, state, _ = make()
    assert "evd" not in state
    events.begin(LEAK, 100, 0)
    assert (state["evd"], flash.operations) == (1, 0), "not before the valve is shut"
    module.keep(state)
    assert (state["evd"], flash.operations) == (0, 2)
    flash.kept.clear()
    assert Events(state, None).on(LEAK), "RTC memory has it"


@pytest.mark.parametrize("blob", [b"", b"\x00", b"\x81\x01", b"\xff" * 9, bytes(300)])
def test_what_is_damaged_in_flash_stops_no_node(flash: esp32.Flash, blob: bytes) -> None:
    flash.kept["evt"] = blob
    events, state, _ = make()
    assert not events.on(LEAK)
    flash.full = True
    events.begin(LEAK, 100, 0)
    module.keep(state)
    assert events.on(LEAK)
