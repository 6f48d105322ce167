"""At which power a lamp has failed, burns by day and is well again: the hysteresis, by 0.1 W."""

import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh

FAILED, BY_DAY, LOST = 40, 46, 45
WELL, BROKEN, SILENT = 0, 1, 2
ACTIVE_POWER, DIM, SUPPLY = 21, 4, 5


class Watched:
    """Calls of `Events.watch`, by the event: (begins, is over, hold)."""

    def __init__(self) -> None:
        self.calls: dict[int, tuple[bool, bool, int]] = {}
        self.values: dict[int, Any] = {}

    def __call__(
        self, code: int, beyond: bool, back: bool, hold_s: int, now: int, quality: int, values: Any
    ) -> bool:
        self.calls[code] = (beyond, back, hold_s)
        self.values[code] = values
        return beyond


@pytest.fixture
def pole(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
    return fresh("roles.pole")


def lamp(pole: Any, dim: int, power: int | None, state: int = WELL, **config: int) -> Watched:
    watched = Watched()
    asked = types.SimpleNamespace(dim=dim, look=lambda: state)
    pole._lamp(config, watched, asked, power, 0, 0)
    return watched


# 150 W at full light, of which 30 % are the least that a lamp that is well takes: 45 W; well again
# at a quarter more.
@pytest.mark.parametrize(
    ("power", "weak", "sound"),
    [(449, True, False), (450, False, False), (561, False, False), (562, False, True)],
)
def test_a_lamps_power_at_full_light(pole: Any, power: int, weak: bool, sound: bool) -> None:
    found = lamp(pole, 1000, power, lamp_dw=1500)
    assert found.calls[FAILED] == (weak, sound, 120)
    assert found.values[FAILED] == [(DIM, 1000), (ACTIVE_POWER, power)]


@pytest.mark.parametrize(("power", "weak"), [(224, True), (225, False)])
def test_dimmed_it_takes_less(pole: Any, power: int, weak: bool) -> None:
    assert lamp(pole, 500, power, lamp_dw=1500, fail_s=60).calls[FAILED][::2] == (weak, 60)


@pytest.mark.parametrize(("dim", "looked"), [(99, False), (100, True)])
def test_below_a_tenth_of_its_light_nobody_can_tell(pole: Any, dim: int, looked: bool) -> None:
    assert (FAILED in lamp(pole, dim, 1, lamp_dw=1500).calls) is looked


@pytest.mark.parametrize(
    ("state", "power", "expected"),
    [
        (WELL, None, (False, True)),
        (BROKEN, None, (True, False)),
        (SILENT, None, (True, False)),
        (BROKEN, 1500, (True, False)),
        (WELL, 1500, (False, True)),
        (WELL, 0, (True, False)),
    ],
)
def test_what_the_driver_says_and_what_the_meter_says(
    pole: Any, state: int, power: int | None, expected: tuple[bool, bool]
) -> None:
    assert lamp(pole, 1000, power, state, lamp_dw=1500).calls[FAILED][:2] == expected


def test_a_lamp_whose_power_nobody_told_is_judged_by_its_driver(pole: Any) -> None:
    assert lamp(pole, 1000, 0).calls[FAILED][:2] == (False, True)
    assert lamp(pole, 1000, 0, BROKEN).calls[FAILED][:2] == (True, False)


@pytest.mark.parametrize(
    ("dim", "power", "begins", "ends"),
    [
        (0, 100, False, False),
        (0, 101, True, False),
        (0, 76, False, False),
        (0, 75, False, True),
        (1, 101, False, True),
        (1000, 5000, False, True),
    ],
)
def test_a_lamp_that_burns_by_day(
    pole: Any, dim: int, power: int, begins: bool, ends: bool
) -> None:
    assert lamp(pole, dim, power).calls[BY_DAY] == (begins, ends, 120)


def test_one_that_is_not_watched_by_day_is_over_at_once(pole: Any) -> None:
    assert lamp(pole, 0, 5000, idle_dw=0).calls[BY_DAY] == (False, True, 0)
    assert BY_DAY not in lamp(pole, 0, None).calls
    assert lamp(pole, 0, 40, idle_dw=40).calls[BY_DAY][:2] == (False, False)
    assert lamp(pole, 0, 41, idle_dw=40).calls[BY_DAY][:2] == (True, False)
    assert lamp(pole, 0, 30, idle_dw=40).calls[BY_DAY][:2] == (False, True)
