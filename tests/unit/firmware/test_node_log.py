"""The node's log: bounded, by level, and moved to the journal when it is pulled."""

import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import cycle_rig
import pytest
from cycle_rig import NOW
from hypothesis import given
from hypothesis import strategies as st
from node.errors import JournalError
from node.store.rtcstate import RtcState
from node.wire import cbor


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for board in cycle_rig.boards(monkeypatch):
        board.now = NOW
        from node import log as module

        yield module


def state() -> Any:
    return RtcState(lambda: b"")


def pulled(log: Any, kept: Any) -> list[list[int]]:
    journal = cycle_rig.Journal(0)
    log.pull(kept, journal)
    found: Any = [cbor.decode(body) for body in journal.records.values()]
    return [each[2:] for each in found]


def test_the_oldest_entry_makes_room(log: Any) -> None:
    kept = state()
    for n in range(40):
        log.note(kept, log.ERROR, 1, n)
    assert len(kept.get("log")) == 144
    assert pulled(log, kept) == [[920, 1, 921, n] for n in range(24, 40)]
    assert pulled(log, kept) == []


def test_what_is_of_less_interest_than_the_level_is_not_kept(log: Any) -> None:
    kept = state()
    for level in (log.ERROR, log.WARNING, log.INFO, log.DEBUG):
        log.note(kept, level, 1 + level)
    assert [entry[1] for entry in pulled(log, kept)] == [1, 2]
    assert log.set_level(kept, log.DEBUG)
    assert not log.set_level(kept, 4)
    assert not log.set_level(kept, -1)
    for level in (log.ERROR, log.WARNING, log.INFO, log.DEBUG):
        log.note(kept, level, 1 + level)
    assert [entry[1] for entry in pulled(log, kept)] == [1, 2, 3, 4]


def test_what_the_journal_does_not_take_stays(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = state()
    for n in range(3):
        log.note(kept, log.ERROR, 1, n)
    journal = cycle_rig.Journal(0)
    append = journal.append

    def full(body: bytes, priority: int = 0) -> int:
        if journal.depth:
            raise JournalError("full")
        return append(body, priority)

    monkeypatch.setattr(journal, "append", full)
    assert log.pull(kept, journal) == 1
    assert [entry[3] for entry in pulled(log, kept)] == [1, 2]


@given(st.integers())
def test_any_number_is_kept_as_far_as_32_bits_hold_it(argument: int) -> None:
    machine: Any = types.ModuleType("machine")
    sys.modules.setdefault("machine", machine)
    time.ticks_ms = lambda: 0  # type: ignore[attr-defined]
    from node import log as module

    kept = state()
    module.note(kept, module.ERROR, 255, argument)
    ((_, code, _, told),) = pulled(module, kept)
    assert (code, told) == (255, max(-(1 << 31), min(argument, (1 << 31) - 1)))
