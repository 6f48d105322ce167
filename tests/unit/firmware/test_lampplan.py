"""A lamp's plan: steps by dusk, dawn and clock, at any place of the earth and any time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node import lampplan, twilight
from node.schema.lamppost import steps

GUANGZHOU, OFFSET = (23_130_000, 113_260_000), 28_800
HELSINKI, TROMSO = (60_170_000, 24_940_000), (69_650_000, 18_960_000)
HALF = ["dusk", 1000, "23:00", 500, "05:30", 1000, "dawn", 0]
CITY = timezone(timedelta(hours=8))


def dim(
    plan: list[Any], now: int, place: tuple[int, int] = GUANGZHOU, offset: int = OFFSET
) -> int:
    times, _ = lampplan.night(steps(plan), now, place, offset)
    permille: int = lampplan.at(times, now)[0]
    return permille


def spans(
    plan: list[Any], first: int, last: int, place: tuple[int, int], offset: int
) -> Iterator[tuple[int, int, int]]:
    """(from, until, permille) as the node goes on: it computes when a change is due."""
    now, flat = first, steps(plan)
    while now < last:
        times, later = lampplan.night(flat, now, place, offset)
        held, change = lampplan.at(times, now)
        until = min(change if 0 <= change < later else later, last)
        yield now, until, held
        now = until


def local(text: str, zone: timezone = CITY) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def test_a_summers_night_in_guangzhou() -> None:
    """Dusk at 19:33, dawn at 5:16: the step of 5:30 is void."""
    first, last = local("2026-06-01T12:00"), local("2026-06-02T12:00")
    found = [
        (datetime.fromtimestamp(now, CITY).strftime("%H:%M"), held)
        for now, _, held in spans(HALF, first, last, GUANGZHOU, OFFSET)
    ]
    assert found == [("12:00", 0), ("19:33", 1000), ("23:00", 500), ("05:15", 0), ("05:30", 0)]


def test_a_winters_night_has_all_its_steps() -> None:
    changes = {
        datetime.fromtimestamp(now, CITY).strftime("%H:%M"): dim(HALF, now)
        for now in range(local("2026-12-21T12:00"), local("2026-12-22T12:00"), 900)
    }
    hours = ("18:00", "18:15", "22:45", "23:00", "05:15", "05:30", "06:30")
    assert [changes[at] for at in hours] == [0, 1000, 1000, 500, 500, 1000, 1000]
    assert changes["06:45"] == 0


def test_dark_hours_in_the_middle_of_the_night() -> None:
    plan = ["dusk-10", 1000, "01:00", 0, "05:00", 700, "dawn+10", 0]
    assert dim(plan, local("2026-12-22T00:59")) == 1000
    assert dim(plan, local("2026-12-22T01:00")) == 0
    assert dim(plan, local("2026-12-22T05:00")) == 700


def test_an_offset_moves_the_switching() -> None:
    dusk = twilight.twilight(twilight.day_of(local("2026-03-01T12:00"), GUANGZHOU[1]), *GUANGZHOU)[
        1
    ]
    plan = ["dusk-20", 1000, "dawn+15", 0]
    assert (dim(plan, dusk - 1201), dim(plan, dusk - 1200)) == (0, 1000)


def test_a_dusk_later_than_the_clock_begins_as_the_clock_says() -> None:
    """Helsinki in May: dusk at 22:57, and half light from 22:00 on."""
    zone = timezone(timedelta(hours=3))
    plan = ["dusk", 1000, "22:00", 500, "dawn", 0]
    first = local("2026-05-15T12:00", zone)
    held = [dim for _, _, dim in spans(plan, first, first + 86_400, HELSINKI, 10_800)]
    assert held == [0, 500, 0]
    assert dim(plan, local("2026-05-15T22:30", zone), HELSINKI, 10_800) == 0
    assert dim(plan, local("2026-05-15T23:30", zone), HELSINKI, 10_800) == 500


def year(plan: list[Any], place: tuple[int, int], offset: int) -> dict[str, int]:
    """Seconds of light in 2026 by month, UTC."""
    found: dict[str, int] = {}
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    for first, last, held in spans(plan, begin, begin + 365 * 86400, place, offset):
        at = first
        while held and at < last:
            end = min((at // 86400 + 1) * 86400, last)
            month = datetime.fromtimestamp(at, UTC).strftime("%m")
            found[month] = found.get(month, 0) + end - at
            at = end
    return found


def test_in_the_polar_night_it_burns_and_in_the_polar_day_it_does_not() -> None:
    plan = ["dusk-30", 1000, "dawn+30", 0]
    lit = year(plan, TROMSO, 3600)
    assert "06" not in lit
    assert "07" not in lit
    # In Tromso the sun comes above -6 degrees at noon even in December.
    assert 17 * 3600 < lit["12"] / 31 < 22 * 3600
    north = (85_000_000, 0)
    assert year(plan, north, 0)["12"] == 31 * 86400


def test_the_southern_winter_is_long() -> None:
    lit = year(["dusk", 1000, "dawn", 0], (-33_870_000, 151_210_000), 36_000)
    assert lit["06"] > lit["12"] * 5 // 4


def test_a_plan_by_the_clock_needs_no_sun() -> None:
    plan = ["18:00", 1000, "23:00", 300, "06:00", 0]
    for place in (GUANGZHOU, (80_000_000, 113_260_000)):
        for hour, want in ((12, 0), (18, 1000), (22, 1000), (23, 300), (3, 300), (6, 0), (11, 0)):
            for day in ("2026-06-21", "2026-12-21"):
                assert dim(plan, local(f"{day}T{hour:02}:00"), place) == want


def test_one_step_holds_for_ever() -> None:
    for now in range(local("2026-06-01T00:00"), local("2026-06-03T00:00"), 1800):
        assert dim(["00:00", 250], now) == 250


TIMES = st.one_of(
    st.integers(0, 1439).map(lambda m: f"{m // 60:02}:{m % 60:02}"),
    st.tuples(st.sampled_from(["dusk", "dawn"]), st.integers(-360, 360)).map(
        lambda t: f"{t[0]}{t[1]:+}"
    ),
)
PLANS = st.lists(st.tuples(TIMES, st.integers(0, 1000)), min_size=1, max_size=8).map(
    lambda pairs: [each for pair in pairs for each in pair]
)


@settings(max_examples=60, deadline=None)
@given(
    plan=PLANS,
    now=st.integers(1_577_836_800, 2_500_000_000),
    latitude=st.integers(-90_000_000, 90_000_000),
    longitude=st.integers(-180_000_000, 180_000_000),
    offset=st.integers(-43_200, 50_400),
)
def test_any_plan_has_a_dim_until_it_says_it_may_change(
    plan: list[Any], now: int, latitude: int, longitude: int, offset: int
) -> None:
    """The node computes only when a change is due: what it holds in between must be the same."""
    flat, place = steps(plan), (latitude, longitude)
    times, later = lampplan.night(flat, now, place, offset)
    held, change = lampplan.at(times, now)
    until = change if 0 <= change < later else later
    assert now < until <= now + 3 * 86_400
    assert held in plan[1::2]
    for probe in (now + (until - now) // 2, until - 1):
        assert dim(plan, probe, place, offset) == held


@pytest.mark.parametrize(
    ("time", "flat"),
    [("dusk", (1, 0)), ("dawn", (2, 0)), ("dusk+5", (1, 300)), ("dusk-005", (1, -300)),
     ("dawn-360", (2, -21600)), ("00:00", (0, 0)), ("23:59", (0, 86340))],
)  # fmt: skip
def test_a_time_is_read(time: str, flat: tuple[int, int]) -> None:
    assert steps([time, 7]) == [*flat, 7]


@pytest.mark.parametrize(
    "time",
    ["", "d", "noon", "dusk5", "dusk+", "dusk+361", "dusk-1h", "dusk+ 5", "dusk++5", "Dusk",
     "24:00", "12:60", "1:00", "12:0", "12.00", "-1:00", "+1:00", "１2:00", "dusk+٣", 0, None,
     True, ["dusk"]],
)  # fmt: skip
def test_what_is_no_time_is_refused(time: Any) -> None:
    with pytest.raises(ValueError, match="lamp_plan"):
        steps([time, 500])


@pytest.mark.parametrize(
    "plan", [["dusk"], ["dusk", 1001], ["dusk", -1], ["dusk", True], ["dusk", "5"], ["dusk", None]]
)
def test_what_is_no_dim_is_refused(plan: list[Any]) -> None:
    with pytest.raises(ValueError, match="lamp_plan"):
        steps(plan)


@given(st.lists(st.one_of(st.text(max_size=8), st.integers(), st.none(), st.binary(max_size=3))))
def test_any_list_is_a_plan_or_refused(plan: list[Any]) -> None:
    try:
        flat = steps(plan)
    except ValueError:
        return
    assert len(flat) == len(plan) // 2 * 3


def test_a_plan_of_the_day_goes_on_from_step_to_step() -> None:
    """A tunnel: its first step lies before noon, where nights of a plan begin."""
    plan = ["10:00", 1000, "15:00", 500, "22:00", 0]
    for hour in range(24):
        want = 1000 if 10 <= hour < 15 else 500 if 15 <= hour < 22 else 0
        for day in ("2026-06-21", "2026-06-22"):
            assert dim(plan, local(f"{day}T{hour:02}:30")) == want
