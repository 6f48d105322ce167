"""Civil twilight in integers: astral as the oracle, polar day and night, and no float anywhere."""

import ast
import contextlib
import importlib.util
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from astral import Observer, SunDirection
from astral.sun import dawn, dusk, time_of_transit
from hypothesis import given
from hypothesis import strategies as st
from node import twilight

from tests.lint import firmware_rules

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "firmware/node/twilight.py"
GUANGZHOU = (23.13, 113.26)
# Astral lets refraction bend the light at -6 degrees as well, by 0.055 degrees; an almanac's civil
# twilight does not. That is 13 s of the sun's fall at the equator, and more where it falls aslant.
PLACES = {
    "guangzhou": GUANGZHOU,
    "urumqi": (43.83, 87.62),
    "quito": (-0.18, -78.47),
    "london": (51.51, -0.13),
    "honolulu": (21.31, -157.86),
    "auckland": (-36.85, 174.76),
    "sydney": (-33.87, 151.21),
    "ushuaia": (-54.80, -68.30),
}
FAR = {"helsinki": (60.17, 24.94), "tromso": (69.65, 18.96), "mcmurdo": (-77.85, 166.67)}
YEAR = range(
    (date(2026, 1, 1) - date(1970, 1, 1)).days, (date(2027, 1, 1) - date(1970, 1, 1)).days
)


def micro(place: tuple[float, float]) -> tuple[int, int]:
    return round(place[0] * 1_000_000), round(place[1] * 1_000_000)


def ours(day: int, place: tuple[float, float]) -> tuple[int, int]:
    found: tuple[int, int] = twilight.twilight(day, *micro(place))
    return found


def events(place: tuple[float, float], days: range) -> Iterator[tuple[int, float]]:
    """(ours, astral's) of each dawn and dusk of the days; astral counts days by a time zone."""
    zone = timezone(timedelta(hours=round(place[1] / 15)))
    for day in days:
        found = ours(day, place)
        for time, of in zip(found, (dawn, dusk), strict=True):
            on = datetime.fromtimestamp(time, zone).date()
            with contextlib.suppress(ValueError):  # it overlooks one where the UTC date changes
                yield time, of(Observer(*place), on, tzinfo=zone).timestamp()


@pytest.mark.parametrize("name", PLACES)
def test_it_is_within_a_minute_of_astral_all_the_year(name: str) -> None:
    pairs = list(events(PLACES[name], YEAR))
    assert len(pairs) >= 2 * 365 - 4
    assert max(abs(mine - theirs) for mine, theirs in pairs) < 60


def test_at_guangzhou_it_is_within_twenty_seconds_for_twenty_years() -> None:
    days = range(YEAR.start, YEAR.start + 20 * 365, 5)
    assert max(abs(mine - theirs) for mine, theirs in events(GUANGZHOU, days)) < 20


def geometric(place: tuple[float, float], day: int, direction: SunDirection) -> float | None:
    on = date(1970, 1, 1) + timedelta(days=day)
    try:
        at = time_of_transit(Observer(*place), on, 96.0, direction, with_refraction=False)
    except ValueError:
        return None
    return at.timestamp()


@pytest.mark.parametrize("name", [*PLACES, *FAR])
def test_without_refraction_it_is_within_seconds_of_astral(name: str) -> None:
    """Modulo a day: astral leaves one out or gives it twice where the UTC date changes; and not
    where dusk runs away so fast that astral's own two steps do not settle."""
    place = (PLACES | FAR)[name]
    compared = 0
    for day in YEAR:
        ways = (SunDirection.RISING, SunDirection.SETTING)
        for mine, way in zip(ours(day, place), ways, strict=True):
            theirs = [geometric(place, day + more, way) for more in (-1, 0, 1)]
            if None in theirs:
                continue
            a, b, c = (float(x or 0) for x in theirs)
            if max(abs(b - a - 86400), abs(c - b - 86400)) > 400:
                continue
            off = min(abs((mine - at + 43200) % 86400 - 43200) for at in (a, b, c))
            compared += 1
            assert off < 6, f"{name} {datetime.fromtimestamp(mine, UTC)}"
    assert compared > (600 if name in PLACES else 0)


def test_the_polar_year_has_its_two_seasons() -> None:
    """Dark: both are noon. Light: half a day before and after it."""
    dark = light = 0
    for day in YEAR:
        first, last = ours(day, FAR["mcmurdo"])
        dark += last - first < 60
        light += last - first > 86_340
    # Below -6 degrees at noon for eleven weeks, above at midnight for nearly five months.
    assert 45 <= dark <= 85
    assert 120 <= light <= 150
    assert all(60 < b - a < 86_340 for a, b in (ours(day, GUANGZHOU) for day in YEAR))


@pytest.mark.parametrize("pole", [90_000_000, -90_000_000])
def test_the_poles_themselves_are_dark_or_light(pole: int) -> None:
    spans = [last - first for first, last in (twilight.twilight(day, pole, 0) for day in YEAR)]
    dark, light = sum(span < 60 for span in spans), sum(span > 86_340 for span in spans)
    assert dark + light >= 363  # the sun crosses twice a year
    assert 145 < dark < 160


def test_a_day_follows_the_sun_not_utc() -> None:
    for longitude in (-179_999_999, -120_000_000, 0, 113_260_000, 179_999_999):
        for day in (YEAR.start, YEAR.start + 100):
            first, last = twilight.twilight(day, 23_130_000, longitude)
            assert first < last
            assert twilight.day_of(first, longitude) == day == twilight.day_of(last, longitude)


@given(
    day=st.integers(0, 49_000),
    latitude=st.integers(-90_000_000, 90_000_000),
    longitude=st.integers(-180_000_000, 180_000_000),
)
def test_any_place_and_day_has_an_answer_in_order(day: int, latitude: int, longitude: int) -> None:
    first, last = twilight.twilight(day, latitude, longitude)
    assert first <= last + 60
    assert last - first <= 86_460
    assert abs(twilight.day_of((first + last) // 2, longitude) - day) == 0


# No float: the linter's rules, then runs in which there can be none.


def test_its_source_has_nothing_that_makes_a_float() -> None:
    text = SOURCE.read_text()
    assert not list(firmware_rules.findings(text, "twilight.py"))
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls <= {"const", "range", "_crossing", "_sun", "_sin", "_arcsine"}
    assert not [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Pow)]


class Whole(int):
    """An integer whose every result is one too, and that cannot become a float."""

    def __truediv__(self, other: Any) -> Any:
        raise AssertionError("true division")

    __rtruediv__ = __float__ = __round__ = __complex__ = __truediv__  # type: ignore[assignment]


def _whole(name: str) -> Any:
    plain = getattr(int, name)

    def operate(self: int, *others: Any) -> Any:
        assert all(type(other) in (int, Whole) for other in others), "a float came in"
        result = plain(self, *others)
        return Whole(result) if type(result) is int else result

    return operate


for _name in ("add", "sub", "mul", "floordiv", "mod", "lshift", "rshift"):
    for _side in ("", "r"):
        setattr(Whole, f"__{_side}{_name}__", _whole(f"__{_side}{_name}__"))
Whole.__neg__ = _whole("__neg__")  # type: ignore[method-assign]


def run(module: Any) -> int:
    """Days of a year at places, with integers that cannot become floats; how many days."""
    count = 0
    for place in (PLACES | FAR).values():
        north, east = micro(place)
        for day in range(YEAR.start, YEAR.stop, 7):
            found = module.twilight(Whole(day), Whole(north), Whole(east))
            assert [type(time) for time in found] == [Whole, Whole]
            assert found == twilight.twilight(day, north, east)
            count += 1
    return count


def test_it_runs_where_floats_are_impossible() -> None:
    assert run(twilight) > 500


def altered(tmp_path: Path, old: str, new: str) -> ModuleType:
    text = SOURCE.read_text()
    assert old in text
    path = tmp_path / "altered.py"
    path.write_text(text.replace(old, new))
    spec = importlib.util.spec_from_file_location("altered", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "new"),
    [("above << 30) // span", "above << 30) / span"), ("* 24 // 100_000", "* 0.00024"),
     ("13_751 >> 30", "13_751.0")],
)  # fmt: skip
def test_a_float_anywhere_would_show(tmp_path: Path, old: str, new: str) -> None:
    module = altered(tmp_path, old, new)
    with pytest.raises((AssertionError, TypeError)):
        run(module)


def test_the_vm_computes_the_same_with_floats_taken_away(
    micropython: list[str], tmp_path: Path
) -> None:
    rows = [
        [day, *micro(place)]
        for place in (PLACES | FAR).values()
        for day in range(YEAR.start, YEAR.stop, 3)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    script = ROOT / "tests/vm/twilight_check.py"
    ran = subprocess.run(
        [
            *micropython,
            "-X",
            "heapsize=4m",
            str(script),
            str(ROOT / "firmware"),
            str(tmp_path / "rows.json"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [list(twilight.twilight(*row)) for row in rows]


def test_the_vm_has_the_year_that_vms_without_and_with_short_floats_have(
    micropython: list[str],
) -> None:
    """MicroPython 1.29 built with MICROPY_FLOAT_IMPL_NONE and with MICROPY_FLOAT_IMPL_FLOAT gave
    this number as well (tests/vm/twilight_year.py says how)."""
    script = [str(ROOT / "tests/vm/twilight_year.py"), str(ROOT / "firmware")]
    ran = subprocess.run(
        [*micropython, *script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.strip() == "1052802100402609623"
