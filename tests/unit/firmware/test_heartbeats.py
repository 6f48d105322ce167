"""Heartbeats: one task that is silent is enough."""

import importlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(time, "ticks_ms", lambda: NOW[0], raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
    NOW[0] = 0
    return importlib.import_module("node.heartbeats").Heartbeats()


NOW = [0]


def test_a_task_that_falls_silent_is_named(beats: Any) -> None:
    beats.expect("poll", 1000)
    beats.expect("bus", 5000)
    NOW[0] = 1000
    assert beats.silent() is None
    NOW[0] = 1001
    assert beats.silent() == "poll"
    beats.beat("poll")
    assert beats.silent() is None
    NOW[0] = 5001
    beats.beat("poll")
    assert beats.silent() == "bus"
    beats.leave("bus")
    assert beats.silent() is None


def test_nobody_beats_for_a_task_that_is_not_expected(beats: Any) -> None:
    with pytest.raises(KeyError):
        beats.beat("poll")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400)), max_size=40))
def test_silent_is_who_was_not_heard_in_its_time(steps: list[tuple[str, int]]) -> None:
    time.ticks_ms = lambda: NOW[0]  # type: ignore[attr-defined]
    time.ticks_diff = lambda a, b: a - b  # type: ignore[attr-defined]
    NOW[0] = 0
    made = importlib.import_module("node.heartbeats").Heartbeats()
    heard = {}
    for name in "abc":
        made.expect(name, 1000)
        heard[name] = 0
    for name, wait in steps:
        NOW[0] += wait
        made.beat(name)
        heard[name] = NOW[0]
        late = [each for each in "abc" if NOW[0] - heard[each] > 1000]
        assert made.silent() == (late[0] if late else None)
