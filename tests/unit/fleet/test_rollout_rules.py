"""The pure rules of rollouts: order and spread, the gate, the pace, local windows, plans."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fleet.rollouts import gate, order, pace, plan, windows
from fleet.rollouts.counting import Tally
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.gate import Cohorts, Stage, Sum, Verdict
from fleet.rollouts.plan import Plan

NO_COHORTS = [Cohorts(0, 0, 0)] * 2


# Order.


def test_the_order_is_the_same_whenever_it_is_asked_and_another_for_each_release() -> None:
    nodes = [f"node{number:06}" for number in range(500)]
    cells = ["4401"] * 500
    first = [nodes[place] for place in order.arrange(nodes, cells, 5)]
    backwards = nodes[::-1]
    assert [backwards[place] for place in order.arrange(backwards, cells, 5)] == first
    other = [nodes[place] for place in order.arrange(nodes, cells, 6)]
    assert sorted(other) == sorted(first)
    assert len(set(first[:50]) & set(other[:50])) < 25


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(1, 1000))
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_stretch_has_each_area_in_proportion(sizes: list[int], sequence: int) -> None:
    """So no area is loaded by more than its share, and one: whatever its place in a list is."""
    cells = [f"{440106000 + number}" for number, size in enumerate(sizes) for _ in range(size)]
    nodes = [f"n{number:09}" for number in range(len(cells))]
    arranged = [cells[place] for place in order.arrange(nodes, cells, sequence)]
    total, seen = len(arranged), Counter[str]()
    for place, cell in enumerate(arranged, 1):
        seen[cell] += 1
        for number, size in enumerate(sizes):
            share = place * size / total
            assert abs(seen[f"{440106000 + number}"] - share) <= 1 + len(sizes) * size / total


def test_sabotage_by_hash_alone_an_area_comes_in_bunches() -> None:
    cells = [f"{440106000 + number % 50}" for number in range(2000)]
    nodes = [f"n{number:09}" for number in range(2000)]
    by_hash = sorted(range(2000), key=lambda place: order.bucket(nodes[place], 5))
    spread = order.arrange(nodes, cells, 5)

    def most(places: list[int]) -> int:
        return max(
            max(Counter(cells[place] for place in places[start : start + 100]).values())
            for start in range(0, 2000, 100)
        )

    assert most(by_hash) >= 6
    assert most(spread) <= 3


@given(
    st.integers(0, 100_000),
    st.integers(1, 1000),
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
)
def test_groups_lose_nobody(total: int, canary: int, some: list[int]) -> None:
    stages = [*some, 100 - sum(some)] if sum(some) < 100 else [100]
    sizes = order.sizes(total, canary, stages)
    assert sum(sizes) == total
    assert sizes[0] == min(total, canary)
    assert min(sizes) >= 0


# Gate.


def stage(
    good: int = 0, bad: int = 0, scheduled: int = 0, flying: int = 0, *, canary: bool = False,
    last: bool = False, left: bool = False, stuck: bool = False,
) -> Stage:  # fmt: skip
    tally = Tally(scheduled, flying, good, bad, 0)
    return Stage(canary, last, good + bad + scheduled + flying, bad, left, stuck, tally)


def judged(
    what: Stage, cohorts: list[Cohorts] = NO_COHORTS, plan: Plan | None = None
) -> tuple[Verdict, str]:
    """Of a group alone."""
    ended = what.tally.good + what.tally.bad
    mine = Sum(what.errors, ended, ended + what.tally.open)
    return gate.judge(plan or Plan(), what, [mine], cohorts)


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        (stage(scheduled=50, canary=True), Verdict.WAIT),
        (stage(good=49, flying=1, canary=True), Verdict.WAIT),
        (stage(good=50, canary=True), Verdict.NEXT),
        (stage(good=48, bad=2, canary=True), Verdict.NEXT),
        (stage(good=48, bad=2, canary=True, left=True), Verdict.WAIT),
        (stage(good=10, bad=5, scheduled=35, canary=True), Verdict.STOP),  # the absolute trip
        (stage(good=880, bad=10, scheduled=110), Verdict.WAIT),
        (stage(good=890, bad=10, scheduled=100), Verdict.NEXT),
        (stage(good=890, bad=10, scheduled=100, last=True), Verdict.WAIT),
        (stage(good=900, bad=100, scheduled=0), Verdict.STOP),  # error before success
        (stage(bad=2, scheduled=1000), Verdict.WAIT),  # too few to tell
        (stage(bad=3, scheduled=1000), Verdict.STOP),  # below the sample, but nothing went well
        (stage(good=3, bad=3, scheduled=1000), Verdict.WAIT),
        (stage(bad=9, flying=900), Verdict.WAIT),  # failures are told first
        (stage(bad=50, scheduled=1000), Verdict.STOP),
        (stage(good=97, bad=3, scheduled=1000), Verdict.WAIT),  # above the share, but by chance
        (stage(good=9700, bad=300, scheduled=90_000), Verdict.STOP),
        (stage(good=9850, bad=150, scheduled=90_000), Verdict.WAIT),
        (stage(), Verdict.NEXT),  # nobody is left in it
    ],
)
def test_the_gate(what: Stage, wanted: Verdict) -> None:
    assert judged(what)[0] is wanted


def test_what_is_silent_holds_and_what_is_lost_stops_though_much_went_well_since() -> None:
    """60 of 1,000 that were offered long ago are missing; 100,000 that came later are well."""
    late = stage(good=100_000, bad=60, scheduled=1_000_000)
    silent, lost = Cohorts(1000, 940, 0), Cohorts(1000, 940, 60)
    assert judged(late, [silent, silent]) == (Verdict.HOLD, "silent")
    assert judged(late, [lost, lost]) == (Verdict.STOP, "errors")
    assert judged(late, NO_COHORTS)[0] is Verdict.WAIT  # the loss without them


def test_a_hold_ends_when_those_that_were_silent_are_known() -> None:
    """Less is asked for it than to stop; where all is known it is one or the other."""
    few = stage(good=96, scheduled=1000, bad=4)
    silent, known = Cohorts(1000, 968, 20), Cohorts(1000, 968, 32)
    assert judged(few, [silent, silent]) == (Verdict.HOLD, "silent")
    assert judged(few, [known, known]) == (Verdict.WAIT, "")


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_surely_is_below_the_share_and_comes_near_with_many(bad: int, of: int) -> None:
    bad = min(bad, of)
    assert 0 <= gate.surely(bad, of) <= bad / of
    assert gate.surely(bad * 1000, of * 1000) >= gate.surely(bad, of)


# Pace.


def test_the_rate_grows_with_success_up_to_its_end() -> None:
    slow = Plan(per_minute=50, factor=20, every=100, most_per_minute=400)
    assert [pace.rate(slow, good) for good in (0, 99, 100, 200, 300, 10**6)] == [
        50, 50, 100, 200, 400, 400,
    ]  # fmt: skip
    assert pace.rate(Plan(factor=10, per_minute=7), 10**9) == 7


def test_no_more_offers_in_any_minute_than_the_rate() -> None:
    some = Plan(per_minute=60)
    budget = pace.Budget(0, 0)
    made = 0
    for second in range(1, 601):
        budget = pace.grown(budget, some, 0, second * 1_000_000)
        made += budget.thousandths // 1000
        budget = pace.Budget(budget.thousandths % 1000, budget.at_us)
    assert made == 600
    rested = pace.grown(pace.Budget(0, 0), some, 0, 86_400_000_000)
    assert rested.thousandths == 60_000  # a night's rest saves up a minute
    assert pace.grown(pace.Budget(500, 10**9), some, 0, 0).thousandths == 500  # a clock set back


def test_what_is_in_flight_is_bounded_by_what_went_well() -> None:
    assert pace.room(Plan(canary=50), 0, 0) == 50
    assert pace.room(Plan(canary=50), 0, 50) == 0
    assert pace.room(Plan(canary=50), 500, 100) == 450
    assert pace.room(Plan(canary=50), 0, 80) == 0


# Windows.


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("several", "now", "opens"),
    [
        (["01:00-05:00"], "2026-11-26T00:59:59+08:00", "2026-11-26T01:00:00+08:00"),
        (["01:00-05:00"], "2026-11-26T01:00:00+08:00", "2026-11-26T01:00:00+08:00"),
        (["01:00-05:00"], "2026-11-26T05:00:00+08:00", "2026-11-27T01:00:00+08:00"),
        (["22:00-04:00"], "2026-11-26T03:00:00+08:00", "2026-11-26T03:00:00+08:00"),
        (["22:00-04:00"], "2026-11-26T04:00:00+08:00", "2026-11-26T22:00:00+08:00"),
        (["mon-fri 01:00-05:00"], "2026-11-27T06:00:00+08:00", "2026-11-30T01:00:00+08:00"),
        (["fri 22:00-04:00"], "2026-11-28T03:00:00+08:00", "2026-11-28T03:00:00+08:00"),
        (["sat-sun 00:00-24:00"], "2026-11-26T12:00:00+08:00", "2026-11-28T00:00:00+08:00"),
        (["sun 00:00-24:00"], "2026-11-29T23:59:00+08:00", "2026-11-29T23:59:00+08:00"),
        (["12:00-13:00", "01:00-02:00"], "2026-11-26T03:00:00+08:00", "2026-11-26T12:00:00+08:00"),
        ([], "2026-11-26T03:00:00+08:00", "2026-11-26T03:00:00+08:00"),
    ],
)
def test_windows_are_local_time(several: list[str], now: str, opens: str) -> None:
    assert Plan(windows=tuple(several)).opens_us(us(now)) == us(opens)


def test_a_window_is_local_when_the_clock_is_changed() -> None:
    berlin = Plan(windows=("02:00-04:00",), zone="Europe/Berlin")
    assert berlin.opens_us(us("2026-10-25T00:30:00+02:00")) == us("2026-10-25T02:00:00+02:00")
    assert berlin.opens_us(us("2026-10-25T03:30:00+01:00")) == us("2026-10-25T03:30:00+01:00")
    assert berlin.opens_us(us("2026-10-25T04:00:00+01:00")) == us("2026-10-26T02:00:00+01:00")


@pytest.mark.parametrize(
    "text",
    ["", "01:00", "1:00-2:00", "24:00-25:00", "05:00-05:00", "24:00-01:00", "xyz 01:00-02:00",
     "mon-xyz 01:00-02:00", "01:00-29:00"],
)  # fmt: skip
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(RolloutError) as refused:
        windows.parse(text)
    assert "\n" not in str(refused.value)


# Plans.


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"canary": 0}, "canary is 1 to 100000, not 0"),
        ({"stages": (50, 49)}, "percentages that make 100"),
        ({"stages": ()}, "percentages that make 100"),
        ({"stages": (0, 100)}, "percentages that make 100"),
        ({"retries": 10}, "retries is 0 to 9"),
        ({"per_minute": 7000}, "most-per-minute is not below"),
        ({"windows": ("noon",)}, "window 'noon'"),
        ({"zone": "Canton"}, "time zone 'Canton'"),
        ({"signal_dbm": 5}, "signal-dbm"),
    ],
)
def test_a_plan_that_cannot_be(changed: dict[str, object], what: str) -> None:
    with pytest.raises(RolloutError, match=what):
        plan.check(Plan(**changed))  # type: ignore[arg-type]


def test_a_plan_is_kept_as_it_is() -> None:
    made = Plan(canary=7, stages=(10, 90), windows=("01:00-05:00",), battery_mv=3300, late=True)
    assert plan.loads(plan.dumps(made)) == made
    assert plan.loads('{"canary": 9, "of_a_later_kapok": 1}') == Plan(canary=9)
