"""What a level is worth: the node's rule against the page's, and what each test of it is for."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.sense import plausible
from node.sense.plausible import OUTLIER, RANGE, STUCK, Limits

from tests.bench import level_rule

MINUTE, HOUR = 60, 3600
T = 1_780_000_000
DEFAULT = Limits(3000, 3, 20, 600, 43_200, 3)
_TRACE = level_rule.TRACE
TRACE = Limits(
    _TRACE["jump_mm_h"], _TRACE["jump_samples"], _TRACE["noise_mm"], 600, _TRACE["stuck_s"],
    _TRACE["still_mm"],
)  # fmt: skip

STEPS = st.lists(
    st.tuples(
        st.sampled_from([60, 600, HOUR, 3599, 3 * HOUR, 7 * HOUR, 24 * 24 * HOUR]),
        st.sampled_from([0, 3, 4, 10, 489, 490, 491, 500, -490, -491, 700, -700, 4000, -4000]),
    ),
    max_size=60,
)


def play(levels: Iterable[tuple[int, int]], limits: Limits) -> list[tuple[int, int | None]]:
    memory: list[int] = []
    return [plausible.judge(memory, at, mm, True, limits) for at, mm in levels]


@given(STEPS)
def test_the_node_does_as_the_page_says(steps: list[tuple[int, int]]) -> None:
    at, mm, levels = T, 2000, [(T, 2000)]
    for passed, change in steps:
        at, mm = at + passed, mm + change
        levels.append((at, mm))
    judged = play(levels, TRACE)
    assert [flags for flags, _ in judged] == level_rule.expected(levels)
    # Each jump of over 0.5 m/h is flagged, rises beyond any alarm, or is back from a flagged one.
    for i in range(1, len(levels)):
        change, passed = levels[i][1] - levels[i - 1][1], levels[i][0] - levels[i - 1][0]
        if abs(change) * HOUR > 500 * passed and passed >= HOUR:
            assert judged[i][0] & OUTLIER or judged[i - 1][0] & OUTLIER


@given(STEPS, st.data())
def test_whatever_comes_has_flags_and_a_bounded_memory(
    steps: list[tuple[int, int]], data: st.DataObject
) -> None:
    memory: list[int] = []
    at = T
    for passed, mm in steps:
        at += passed * data.draw(st.sampled_from([1, 1, 1, 0, -1]))  # a clock is set back
        flags, rise = plausible.judge(memory, at, mm, data.draw(st.booleans()), DEFAULT)
        assert 0 <= flags <= 7
        assert (rise is None) == bool(flags & (OUTLIER | RANGE))
        assert len(memory) == 13


def test_one_spike_is_flagged_and_what_follows_is_not() -> None:
    levels = [(T + i * 15 * MINUTE, 1800) for i in range(10)]
    levels[5] = (levels[5][0], 5900)
    assert [flags for flags, _ in play(levels, DEFAULT)] == [0] * 5 + [OUTLIER] + [0] * 4


def test_a_flash_flood_is_believed_at_its_third_look_a_minute_apart() -> None:
    levels = [(T, 400), (T + 15 * MINUTE, 402)]
    levels += [(levels[-1][0] + i * MINUTE, 2400 + 20 * i) for i in range(1, 4)]
    judged = play(levels, DEFAULT)
    assert [flags for flags, _ in judged] == [0, 0, OUTLIER, OUTLIER, 0]
    assert judged[-1][1] is not None
    assert judged[-1][1] > 500, "as fast as when it was first seen"


def test_with_the_guard_off_a_spike_raises_the_alarm() -> None:
    levels = [(T, 1800), (T + HOUR, 5900)]
    unguarded = Limits(0, 3, 20, 600, 0, 3)
    assert play(levels, DEFAULT)[1] == (OUTLIER, None)
    assert play(levels, unguarded)[1] == (0, 4100)


def test_a_slow_flood_between_alarm_and_jump_is_told_at_once() -> None:
    levels = [(T, 400), (T + 15 * MINUTE, 550)]
    assert play(levels, DEFAULT)[1] == (0, 600)


def test_a_rise_within_a_minute_counts_as_if_it_had_taken_the_window() -> None:
    # Ripple of 20 mm in a minute is 1.2 m/h, and no flood.
    levels = [(T + i * MINUTE, 400 + 20 * (i % 2)) for i in range(40)]
    rises = [rise for _, rise in play(levels, DEFAULT) if rise is not None]
    assert max(rises) <= 120


def test_a_steady_rise_is_measured_as_it_is_at_every_period() -> None:
    for period in (MINUTE, 5 * MINUTE, 15 * MINUTE):
        levels = [(T + i * period, 400 + 600 * i * period // HOUR) for i in range(60)]
        rises = [rise for _, rise in play(levels, DEFAULT) if rise is not None]
        assert all(590 <= rise <= 600 for rise in rises[25:]), period


@pytest.mark.parametrize(("mm", "flags"), [(1230, STUCK), (20, 0)])
def test_a_level_that_stands_still_is_stuck_unless_the_channel_is_empty(
    mm: int, flags: int
) -> None:
    levels = [(T + i * HOUR, mm) for i in range(14)]
    assert [f for f, _ in play(levels, DEFAULT)][-1] == flags
    assert {f for f, _ in play(levels, Limits(3000, 3, 20, 600, 0, 3))} == {0}


def test_out_of_range_is_counted_until_one_is_in_range() -> None:
    memory: list[int] = []
    for i in range(3):
        assert plausible.judge(memory, T + i, -500, False, DEFAULT) == (RANGE, None)
    assert plausible.faults(memory) == 3
    assert plausible.judge(memory, T + 9, 400, True, DEFAULT) == (0, 0)
    assert plausible.faults(memory) == 0
