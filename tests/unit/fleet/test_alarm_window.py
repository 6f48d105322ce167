"""A rate's window gives what looking at all of it for each reading would."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from fleet.alarms.rules import Rate
from fleet.alarms.window import Window

OVER_US = 10


def rate(is_rise: bool) -> Rate:
    return Rate(
        pack="p", name="n", severity="minor", role="drainage", texts={}, quantity=1,
        qualities=frozenset({0}), hold_us=0, back_hold_us=0, change=1, back=0, over_us=OVER_US,
        is_rise=is_rise,
    )  # fmt: skip


def greatest(rows: Sequence[tuple[int, int]], at: tuple[int, int], is_rise: bool) -> int:
    """By the rule's words: of all within the window, and of the last one ahead of it."""
    time_us, value = at
    sign = 1 if is_rise else -1
    so_far = [row for row in rows if row[0] <= time_us]
    within = [sign * (value - then) for us, then in so_far if us >= time_us - OVER_US]
    ahead = [row for row in so_far if row[0] < time_us - OVER_US][-1:]
    part = [sign * (value - then) * OVER_US // (time_us - us) for us, then in ahead]
    return max([0, *within, *part])


ROWS = st.lists(st.tuples(st.integers(0, 60), st.integers(-50, 50)), max_size=40).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)


@given(ROWS, st.booleans(), st.data())
def test_each_reading_is_weighed_against_its_own_window(
    rows: list[tuple[int, int]], is_rise: bool, data: st.DataObject
) -> None:
    asked = [row for row in rows if data.draw(st.booleans())]  # a batch has not all of them
    window = Window(rate(is_rise), rows)
    found = [window.changed(*row) for row in asked]
    assert found == [greatest(rows, row, is_rise) for row in asked]


def test_a_series_without_history_has_not_changed() -> None:
    assert Window(rate(True), []).changed(5, 100) == 0
