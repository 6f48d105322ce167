"""The state machine between beyond and raised: against an oracle that looks at the whole past."""

from hypothesis import given
from hypothesis import strategies as st

from fleet.alarms.hysteresis import Phase, Watch, step

LIMIT, BACK = 100, 80
SERIES = st.lists(st.tuples(st.integers(0, 5), st.integers(60, 120)), max_size=60)
HOLDS = st.integers(0, 12)


def played(series: list[tuple[int, int]], hold: int, back_hold: int) -> list[bool]:
    """Whether it was on after each reading; of a series of (time since the last, value)."""
    watch, now, on = Watch(), 0, []
    for apart, value in series:
        now += apart
        watch = step(watch, value >= LIMIT, value <= BACK, now, hold, back_hold)
        on.append(watch.is_on)
    return on


def oracle(series: list[tuple[int, int]], hold: int, back_hold: int) -> list[bool]:
    """The rule in words: on where an unbroken run beyond lasts as long as the hold, off where an
    unbroken run back does; else as it was."""
    times, now = [], 0
    for apart, _value in series:
        now += apart
        times.append(now)
    is_on, changed, on = False, 0, []
    for place in range(len(series)):
        run = place
        wanted = range(-1000, BACK + 1) if is_on else range(LIMIT, 1000)
        while run >= changed and series[run][1] in wanted:
            run -= 1
        held = back_hold if is_on else hold
        if run < place and times[place] - times[run + 1] >= held:
            is_on, changed = not is_on, place + 1
        on.append(is_on)
    return on


@given(SERIES, HOLDS, HOLDS)
def test_it_does_what_the_rule_says(
    series: list[tuple[int, int]], hold: int, back_hold: int
) -> None:
    assert played(series, hold, back_hold) == oracle(series, hold, back_hold)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(BACK + 1, LIMIT - 1)), max_size=40),
       st.booleans())  # fmt: skip
def test_between_the_limits_nothing_changes(series: list[tuple[int, int]], first: bool) -> None:
    before = [(0, LIMIT if first else BACK)]
    assert set(played(before + series, 0, 0)) == {first}


@given(SERIES, HOLDS)
def test_sabotage_without_hysteresis_it_flaps_more(
    series: list[tuple[int, int]], hold: int
) -> None:
    def changes(on: list[bool]) -> int:
        return sum(one != other for one, other in zip([False, *on], on, strict=False))

    watch, now, bare = Watch(), 0, []
    for apart, value in series:
        now += apart
        watch = step(watch, value >= LIMIT, value < LIMIT, now, hold, 0)
        bare.append(watch.is_on)
    assert changes(played(series, hold, 0)) <= changes(bare)


def test_sabotage_a_value_that_dances_on_the_limit() -> None:
    dance = [(1, LIMIT + n % 2 * -5) for n in range(20)]
    assert played(dance, 0, 0) == [True] * 20
    watch, bare = Watch(), []
    for _, value in dance:
        watch = step(watch, value >= LIMIT, value < LIMIT, 0, 0, 0)
        bare.append(watch.is_on)
    assert bare.count(False) == 10, "without the hysteresis: ten alarms"


def test_a_pending_one_is_forgotten_once_it_is_no_more_beyond() -> None:
    watch = step(Watch(), True, False, 10, 60, 0)
    assert watch == (Phase.PENDING, 10)
    assert step(watch, False, False, 20, 60, 0).phase == Phase.QUIET
    assert step(watch, True, False, 70, 60, 0) == (Phase.RAISED, 10)
