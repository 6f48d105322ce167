"""Waves: sunsets, streets, crews, access, freezes and the canary; every guard has its sabotage."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.migration import wave_settings, waves
from fleet.migration.errors import MigrationError
from fleet.migration.wave_settings import WaveSettings
from fleet.migration.waves import Waves, Work
from fleet.rollouts.errors import RolloutError

MONDAY = (date(2026, 11, 30) - date(1970, 1, 1)).days
PLAIN = WaveSettings(start=MONDAY, crews=1, canary=0, watch=0)


def work(n: int, **changes: Any) -> Work:
    known: dict[str, Any] = {
        "area": "440106001", "site": n, "minutes": 45, "access": "", "billed": True,
        "sunset": None, "group": ("NB-IoT", "replacement", "gas-meter"),
    }  # fmt: skip
    return Work(id=n, **{**known, **changes})


def days(found: Waves) -> dict[int, int]:
    return {one.id: one.day for one in found.placed}


def test_a_crew_does_as_much_as_its_day_has() -> None:
    found = waves.make([work(n) for n in range(30)], PLAIN)
    by_day = Counter(days(found).values())
    assert by_day == {MONDAY: 12, MONDAY + 1: 12, MONDAY + 2: 6}  # 9 h of 45 min
    twice = waves.make([work(n) for n in range(30)], replace(PLAIN, crews=2))
    assert Counter(days(twice).values()) == {MONDAY: 24, MONDAY + 1: 6}


def test_from_street_to_street_takes_time() -> None:
    several = [work(n, area=f"44010600{n}") for n in range(1, 9)]
    found = waves.make(several, replace(PLAIN, travel=75))
    assert Counter(days(found).values())[MONDAY] == 5  # 45 + 4 x (75 + 45) = 525 minutes of 540


def test_what_ends_first_goes_first_and_what_comes_too_late_is_told() -> None:
    several = [work(n) for n in range(12)] + [work(99, sunset=MONDAY + 1)]
    assert days(waves.make(several, PLAIN))[99] == MONDAY
    found = waves.make([work(n, sunset=MONDAY + 1) for n in range(20)], PLAIN)
    assert sum(one.late for one in found.placed) == 8
    more = waves.make([work(n, sunset=MONDAY + 1) for n in range(20)], replace(PLAIN, crews=2))
    assert not any(one.late for one in more.placed)


def test_streets_are_done_one_after_the_other() -> None:
    several = [work(n, area=f"44010600{n % 3}") for n in range(36)]
    by_day: dict[int, set[str]] = defaultdict(set)
    for one in waves.make(several, replace(PLAIN, travel=0)).placed:
        by_day[one.day].add(several[one.id].area)
    assert [len(areas) for areas in by_day.values()] == [1, 1, 1]


def test_nobody_works_on_weekends_and_in_pauses() -> None:
    pause = replace(PLAIN, pauses=("2026-12-01..2026-12-10",))
    found = set(days(waves.make([work(n) for n in range(40)], pause)).values())
    assert found == {MONDAY, MONDAY + 11, MONDAY + 14, MONDAY + 15}


@pytest.mark.parametrize("pauses", [("2026-12-01..2027-03-15",), ("2026-12-01..2028-12-01",)])
def test_a_pause_of_months_drops_nobody(pauses: tuple[str, ...]) -> None:
    found = waves.make([work(n) for n in range(200)], replace(PLAIN, pauses=pauses))
    assert (len(found.placed), found.unplaced) == (200, [])


def test_a_pause_without_an_end_still_ends() -> None:
    never = replace(PLAIN, pauses=("2026-12-01..2099-12-31",))
    found = waves.make([work(n) for n in range(200)], never)
    assert len(found.placed) + len(found.unplaced) == 200
    assert found.unplaced


@pytest.mark.parametrize("freeze", [("28-3",), ()])
def test_what_is_billed_is_left_alone_in_a_freeze(freeze: tuple[str, ...]) -> None:
    """Without the freeze (the sabotage) meters are touched within it."""
    several = [work(n, billed=n % 2 == 0) for n in range(60)]
    found = waves.make(several, replace(PLAIN, freeze=freeze))
    touched = [
        one
        for one in found.placed
        if several[one.id].billed and _day_of_month(one.day) in (28, 29, 30, 31, 1, 2, 3)
    ]
    assert bool(touched) == (not freeze)
    assert len(found.placed) == 60
    # The crew is not idle meanwhile.
    assert all(not several[one.id].billed for one in found.placed if one.day == MONDAY) == bool(
        freeze
    )


@pytest.mark.parametrize("access", ["tue 09:00-12:00", ""])
def test_a_visit_is_within_its_access_window(access: str) -> None:
    """Without the window (the sabotage) they are visited on Monday."""
    found = days(waves.make([work(n, access=access) for n in range(10)], PLAIN))
    if not access:
        assert set(found.values()) == {MONDAY}
        return
    # From 09:00 to 12:00 four visits of 45 minutes fit; one week has one Tuesday.
    assert Counter(found.values()) == {MONDAY + 1: 4, MONDAY + 8: 4, MONDAY + 15: 2}


def test_what_no_day_takes_is_told() -> None:
    several = [work(1, access="sun 09:00-12:00"), work(2, minutes=600), work(3)]
    found = waves.make(several, PLAIN)
    assert [one.id for one in found.placed] == [3]
    assert {one for one, _ in found.unplaced} == {1, 2}
    assert "access window" in found.unplaced[0][1]
    nobody = waves.make([work(1), work(2, minutes=0)], replace(PLAIN, crews=0))
    assert nobody.unplaced == [(1, "no crews")]
    assert len(nobody.placed) == 1


def test_what_needs_no_visit_has_a_pace_of_its_own() -> None:
    found = waves.make([work(n, minutes=0) for n in range(25)], replace(PLAIN, remote=10))
    assert Counter(days(found).values()) == {MONDAY: 10, MONDAY + 1: 10, MONDAY + 2: 5}


def test_the_canary_goes_first_has_some_of_each_and_is_watched() -> None:
    several = [
        work(n, group=("NB-IoT", "replacement", kind), area=f"4401060{n % 40:02d}")
        for n in range(1000)
        for kind in ("gas-meter" if n % 50 else "drainage",)
    ]
    chosen = replace(PLAIN, crews=8, canary=20, canary_least=5, watch=14)
    found = waves.make(several, chosen)
    first = [one for one in found.placed if one.wave == waves.CANARY]
    assert len(first) == 20
    assert {several[one.id].group[2] for one in first} == {"gas-meter", "drainage"}
    assert len({several[one.id].area for one in first}) > 10
    last = max(one.day for one in first)
    assert min(one.day for one in found.placed if one.wave > waves.CANARY) > last + 14


def test_a_canary_of_few_has_the_least_that_was_asked_for() -> None:
    found = waves.canary([work(n) for n in range(8)], replace(PLAIN, canary=1, canary_least=20))
    assert len(found) == 8
    assert waves.canary([work(1)], PLAIN) == set()


def test_waves_have_no_gaps_and_are_of_their_days() -> None:
    pause = replace(PLAIN, pauses=("2026-12-05..2027-01-10",), wave_days=7)
    found = waves.make([work(n) for n in range(200)], pause)
    numbers = sorted({one.wave for one in found.placed})
    assert numbers == list(range(1, len(numbers) + 1))
    for number in numbers:
        inside = [one.day for one in found.placed if one.wave == number]
        assert max(inside) - min(inside) < 7


@pytest.mark.parametrize("crews", [1, 0])
def test_a_pause_of_months_drops_nothing(crews: int) -> None:
    """Of 200 terminals 128 had no day: a pause of over 62 days ended the programme."""
    pause = replace(PLAIN, crews=crews, pauses=("2026-12-01..2027-03-15",))
    several = [work(n, minutes=45 if crews else 0) for n in range(200)]
    found = waves.make(several, replace(pause, remote=20))
    assert found.unplaced == []
    assert {one.day for one in found.placed if one.day > MONDAY} >= {MONDAY + 106, MONDAY + 107}
    assert all(pause.works(one.day) for one in found.placed)


def test_a_pause_for_ever_ends() -> None:
    pause = replace(PLAIN, pauses=("2026-11-30..2099-12-31",))
    assert len(waves.make([work(1)], pause).unplaced) == 1


_works = st.lists(
    st.builds(
        work,
        st.integers(0, 10**6),
        area=st.sampled_from(["440106001", "440106002", "440107001"]),
        minutes=st.sampled_from([0, 25, 45, 90]),
        access=st.sampled_from(["", "mon-fri 09:00-11:00", "wed 13:00-17:00", "sat 01:00-02:00"]),
        billed=st.booleans(),
        sunset=st.none() | st.integers(MONDAY - 10, MONDAY + 400),
    ),
    max_size=60,
    unique_by=lambda one: one.id,
)
_settings = st.builds(
    WaveSettings,
    start=st.just(MONDAY),
    crews=st.integers(0, 3),
    remote=st.integers(0, 20),
    canary=st.integers(0, 200),
    canary_least=st.integers(0, 5),
    watch=st.integers(0, 20),
    freeze=st.sampled_from([(), ("28-3",), ("10-20",)]),
)


@settings(max_examples=60, deadline=None)
@given(_works, _settings)
def test_every_terminal_has_one_day_that_it_may_have_or_a_reason(
    several: list[Work], chosen: WaveSettings
) -> None:
    found = waves.make(several, chosen)
    assert sorted([one.id for one in found.placed] + [one for one, _ in found.unplaced]) == sorted(
        one.id for one in several
    )
    by_id = {one.id: one for one in several}
    minutes: Counter[int] = Counter()
    for placed in found.placed:
        one = by_id[placed.id]
        assert placed.day >= MONDAY
        assert chosen.works(placed.day)
        assert not (one.billed and chosen.frozen(placed.day))
        assert placed.late == (one.sunset is not None and placed.day >= one.sunset)
        if one.access.startswith("wed") and one.minutes:
            assert (placed.day + 3) % 7 == 2
        minutes[placed.day] += one.minutes
    assert all(spent <= 540 * chosen.crews for spent in minutes.values())
    assert waves.make(several, chosen) == found  # nothing is left to chance


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"freeze": ("31",)}, "freeze '31'"),
        ({"freeze": ("0-40",)}, "freeze"),
        ({"pauses": ("2027-02-30",)}, "pause"),
        ({"pauses": ("2027-02-10..2027-02-01",)}, "pause"),
        ({"work": "mon-fri 22:00-06:00"}, "midnight"),
        ({"canary": 501}, "canary is 0 to 500"),
        ({"wave_days": 0}, "wave-days is 1 to 365"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(MigrationError, match=why):
        wave_settings.check(replace(PLAIN, **changes))
    with pytest.raises(RolloutError, match="window"):
        wave_settings.check(replace(PLAIN, work="always"))


def test_settings_come_back_as_they_were_kept() -> None:
    chosen = replace(PLAIN, freeze=("28-3",), pauses=("2027-02-01..2027-02-15",))
    raw = wave_settings.dumps(chosen)
    assert wave_settings.loads({**raw, "later": 1, "freeze": ["28-3"]}) == chosen


def _day_of_month(day: int) -> int:
    return (date(1970, 1, 1) + timedelta(days=day)).day
