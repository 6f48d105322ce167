"""What a manhole's node keeps of each sensor, at which values its events begin and end, and how
often it looks: at the last value that counts and the first that does not.
"""

import types
from typing import Any

import pytest
from node.wire import cbor
from test_manhole_lines import (  # type: ignore[import-not-found]
    NOW,
    PINS,
    Point,
    Wires,
    manhole,
)

__all__ = ["manhole"]
LEVEL, VELOCITY, SUPPLY, RAIN, RATE, WATER, COVER, H2S, CH4 = 2, 12, 5, 13, 14, 17, 16, 18, 19
FLAGS, SAMPLING = 55, 56
HIGH, FAULT = 20, 23
GOOD, SUSPECT = 0, 2
QUIET, RISING, STORM = 0, 1, 2
ALL = {**PINS, "ch4": 5, "velocity": 6}
EMPTY_UV, FULL_UV = 600_000, 3_000_000


def records(point: Point) -> list[tuple[int, dict[int, int]]]:
    """(quality, values) of each record that is no event, in order."""
    found: Any = [cbor.decode(body) for body in point.bodies]
    return [(r[1], dict(zip(r[2::2], r[3::2], strict=True))) for r in found if r[2] < 1000]


def made(manhole: Any, **config: Any) -> Point:
    Wires.microvolts.update({5: EMPTY_UV, 6: EMPTY_UV})
    return Point(manhole, **{"pins": ALL, "fitted": [], **config})


@pytest.mark.parametrize(("uv", "value"), [(EMPTY_UV, 0), (1_800_000, 500), (FULL_UV, 1000)])
def test_gases_in_tenths_of_what_full_scale_is(manhole: Any, uv: int, value: int) -> None:
    point = made(manhole, fitted=["h2s", "ch4"])
    Wires.microvolts.update({3: uv, 5: uv})
    point.sample()
    assert records(point)[-1] == (GOOD, {LEVEL: 833, H2S: value, CH4: value})
    point = made(manhole, fitted=["h2s", "ch4"], h2s_full_ppm=50, ch4_full_lel=20)
    Wires.microvolts.update({3: uv, 5: uv})
    point.sample()
    values = records(point)[-1][1]
    assert (values[H2S], values[CH4]) == (value // 2, value // 5)


def test_gases_are_asked_once_in_their_time(manhole: Any) -> None:
    point = made(manhole, fitted=["h2s"], gas_s=3600)
    slept: list[int] = []
    manhole.__dict__["time"] = types.SimpleNamespace(sleep_ms=slept.append)
    point.now = NOW // 3600 * 3600
    point.sample(0)
    point.sample(3599)
    point.sample(1)
    assert [H2S in values for _, values in records(point)] == [True, False, True]
    assert max(slept) == 20, "`gas_warm_s` is 0 here: between two looks at the level"
    point = made(manhole, fitted=["h2s"], gas_warm_s=None)
    del point.config["gas_warm_s"], point.config["gas_s"]
    slept.clear()
    point.sample()
    assert 30_000 in slept


@pytest.mark.parametrize(
    ("name", "code", "most", "begins", "ends"),
    [("h2s", 26, {"h2s_ppm": 10}, 100, 79), ("ch4", 27, {"ch4_lel": 25}, 250, 199)],
)
def test_a_gas_is_an_event_from_its_limit_on_and_over_at_eight_tenths(
    manhole: Any, name: str, code: int, most: dict[str, int], begins: int, ends: int
) -> None:
    def at(tenths: int) -> None:
        Wires.microvolts[ALL[name]] = EMPTY_UV + 2_400 * tenths

    for config in ({}, most):  # it is the default, too
        point = made(manhole, fitted=[name], **config)
        at(begins - 1)
        assert point.sample() == []
        at(begins)
        assert point.sample() == [(code, 1)]
        at(ends + 1)
        assert point.sample() == [(code, 1)]
        at(ends)
        assert point.sample() == [(code, 1), (code, 0)]


def test_a_level_in_doubt_has_its_flags_behind_it_and_casts_none_on_the_rest(
    manhole: Any,
) -> None:
    point = made(manhole, fitted=["velocity", "water"])
    Wires.microvolts[6] = 1_800_000
    point.sample()
    assert records(point) == [(GOOD, {LEVEL: 833, VELOCITY: 2500, WATER: 0})]
    Wires.microvolts[1] = 0  # below 3.6 mA: the wire is broken
    told = point.sample(60)
    good, suspect = records(point)[-2:]
    assert good == (GOOD, {VELOCITY: 2500, WATER: 0})
    assert suspect[0] == SUSPECT
    assert list(suspect[1]) == [LEVEL, FLAGS]
    assert suspect[1][FLAGS] & 4
    for _ in range(5):
        told = point.sample(60)
    assert (FAULT, 1) in told


def test_the_supplys_full_scale(manhole: Any) -> None:
    for config, value in (({}, 12_000), ({"supply_full_mv": 10_000}, 6_000)):
        point = made(manhole, fitted=["supply"], **config)
        Wires.microvolts[2] = 1_200_000
        point.sample()
        assert records(point)[-1][1][SUPPLY] == value


def test_a_supply_is_lost_below_its_limit_and_back_five_percent_above(manhole: Any) -> None:
    point = made(manhole, fitted=["supply"], supply_low_mv=10_000)

    def at(mv: int) -> list[tuple[int, int]]:
        Wires.microvolts[2] = 100 * mv
        told: list[tuple[int, int]] = point.sample()
        return told

    assert at(10_000) == []
    assert at(9_999) == [(28, 1)]
    assert at(10_500) == [(28, 1)]
    assert at(10_501) == [(28, 1), (28, 0)]


def test_rain_in_tenths_of_a_millimetre_by_the_bucket(manhole: Any) -> None:
    for config, tip in (({}, 200), ({"tip_um": 500}, 500)):
        point = made(manhole, **config)
        point.rain = types.SimpleNamespace(
            tips=lambda: 30, rate=lambda now: 10, dry_for=lambda now: 99_999
        )
        assert point.sample() == []
        assert records(point)[-1][1][RAIN] == 30 * tip // 100


@pytest.mark.parametrize(("rate", "heavy"), [(99, False), (100, True)])
def test_heavy_rain(manhole: Any, rate: int, heavy: bool) -> None:
    point = made(manhole)
    point.rain = types.SimpleNamespace(
        tips=lambda: 1, rate=lambda now: rate, dry_for=lambda now: 99_999
    )
    assert point.sample() == ([(29, 1)] if heavy else [])
    point.rain.rate = lambda now: 50
    assert len(point.sample()) == heavy
    point.rain.rate = lambda now: 49
    assert len(point.sample()) == 2 * heavy


def mode(point: Point) -> int:
    found: int = point.state["mode"][0]
    return found


def test_it_looks_more_often_from_three_quarters_of_the_high_level_on(manhole: Any) -> None:
    point = made(manhole, level_high_mm=2000, jump_mm_h=10**6, rise_window_s=60)

    def at(mm: int, seconds: int = 3600) -> int:
        Wires.microvolts[1] = EMPTY_UV + mm * 480
        point.sample(seconds)
        return mode(point)

    assert at(1499) == QUIET
    assert at(1500) == RISING
    assert at(1999) == RISING
    assert at(2000) == STORM
    assert [values[SAMPLING] for _, values in records(point) if SAMPLING in values] == [
        RISING,
        STORM,
    ]
    assert at(1950, 60) == RISING or mode(point) == STORM


def test_it_calms_down_once_it_was_calm_for_its_time(manhole: Any) -> None:
    for config, calm_s in (({}, 1800), ({"calm_s": 600}, 600)):
        point = made(manhole, level_high_mm=2000, jump_mm_h=10**6, **config)
        Wires.microvolts[1] = EMPTY_UV + 1600 * 480
        point.sample(60)
        assert mode(point) == RISING
        Wires.microvolts[1] = EMPTY_UV + 1400 * 480
        point.sample(calm_s - 1)
        assert mode(point) == RISING
        point.sample(1)
        assert mode(point) == QUIET


@pytest.mark.parametrize(("dry_s", "expected"), [(3599, RISING), (3600, QUIET)])
def test_it_looks_more_often_for_an_hour_after_rain(
    manhole: Any, dry_s: int, expected: int
) -> None:
    point = made(manhole)
    point.rain = types.SimpleNamespace(
        tips=lambda: 1, rate=lambda now: 0, dry_for=lambda now: dry_s
    )
    point.sample()
    assert point.state.get("mode", [QUIET])[0] == expected


def test_a_level_that_is_high_is_over_below_its_way_back(manhole: Any) -> None:
    for config, back in (({}, 50), ({"level_back_mm": 200}, 200)):
        point = made(manhole, level_high_mm=2000, jump_mm_h=10**6, **config)

        def at(mm: int, point: Point = point) -> list[tuple[int, int]]:
            Wires.microvolts[1] = EMPTY_UV + mm * 480
            return [each for each in point.sample(3600) if each[0] == HIGH]

        at(1900)
        assert at(1999) == []
        assert at(2000) == [(HIGH, 1)]
        assert at(2000 - back + 1) == [(HIGH, 1)]
        assert at(2000 - back) == [(HIGH, 1), (HIGH, 0)]
