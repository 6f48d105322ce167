"""Events: recorded when they begin and when they end, once each, whatever the journal does."""

from typing import Any

from node.errors import JournalError
from node.events import Events

from fleet.wire import cbor

LEAK = 1


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
