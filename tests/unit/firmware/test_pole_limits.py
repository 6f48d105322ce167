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


# What the pole itself is watched for

TILT, LEAKAGE, DOOR, WATER, DEVICE = 42, 41, 43, 44, 60
SILENT_POLLS = 3


class State(dict[str, Any]):
    def set(self, key: str, value: Any) -> None:
        self[key] = value


def judged(
    pole: Any, monkeypatch: pytest.MonkeyPatch, state: State, seen: dict[int, Any], **config: int
) -> Watched:
    watched = Watched()
    events = types.SimpleNamespace(watch=_with_defaults(watched))
    monkeypatch.setattr(pole, "Events", lambda *_: events)
    lamp = types.SimpleNamespace(dim=0, look=lambda: WELL)
    pole.judge(config, state, None, lamp, {SUPPLY: 220_000, **seen}, 0, 0)
    return watched


def _with_defaults(watched: Watched) -> Any:
    def watch(
        code: int, beyond: bool, back: bool, hold_s: int, now: int, quality: int, values: Any = ()
    ) -> bool:
        return watched(code, beyond, back, hold_s, now, quality, values)

    return watch


def names(pole: Any) -> dict[str, int]:
    return {
        "tilt": pole._Q_TILT, "leakage": pole._Q_LEAKAGE_CURRENT, "door": pole._Q_DOOR_OPEN,
        "water": pole._Q_WATER_INGRESS,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "code", "value", "config", "expected"),
    [
        ("tilt", TILT, 50, {}, (True, False, 60)),
        ("tilt", TILT, 49, {}, (False, False, 60)),
        ("tilt", TILT, 41, {}, (False, False, 60)),
        ("tilt", TILT, 40, {}, (False, True, 60)),
        ("tilt", TILT, 5, {"tilt_ddeg": 5}, (True, False, 60)),
        ("tilt", TILT, 0, {"tilt_ddeg": 5}, (False, True, 60)),
        ("tilt", TILT, 900, {"tilt_ddeg": 0}, (False, True, 0)),
        ("leakage", LEAKAGE, 30, {}, (True, False, 0)),
        ("leakage", LEAKAGE, 29, {}, (False, False, 0)),
        ("leakage", LEAKAGE, 25, {}, (False, False, 0)),
        ("leakage", LEAKAGE, 24, {}, (False, True, 0)),
        ("leakage", LEAKAGE, 99, {"leakage_ma": 0}, (False, True, 0)),
        ("door", DOOR, 1, {}, (True, False, 0)),
        ("door", DOOR, 0, {}, (False, True, 0)),
        ("water", WATER, 1, {}, (True, False, 10)),
        ("water", WATER, 0, {"water_s": 99}, (False, True, 99)),
    ],
)
def test_a_pole_at_its_limits(
    pole: Any, monkeypatch: pytest.MonkeyPatch, what: str, code: int, value: int,
    config: dict[str, int], expected: tuple[bool, bool, int],
) -> None:  # fmt: skip
    found = judged(pole, monkeypatch, State(), {names(pole)[what]: value}, **config)
    assert found.calls[code] == expected


def test_what_does_not_answer_is_neither(pole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(pole, monkeypatch, State(), {})
    assert not {TILT, LEAKAGE, DOOR, WATER} & found.calls.keys()


@pytest.mark.parametrize(
    ("mv", "expected"),
    [(99_999, (True, False)), (100_000, (False, False)), (104_999, (False, False)),
     (105_000, (False, True))],
)  # fmt: skip
def test_a_supply_that_is_lost(
    pole: Any, monkeypatch: pytest.MonkeyPatch, mv: int, expected: tuple[bool, bool]
) -> None:
    found = judged(pole, monkeypatch, State(), {SUPPLY: mv}, supply_least_mv=100_000)
    assert found.calls[LOST] == (*expected, 0)
    dark = expected[0]
    assert (BY_DAY in judged(
        pole, monkeypatch, State(), {SUPPLY: mv, ACTIVE_POWER: 500}, supply_least_mv=100_000
    ).calls) is not dark, "in the dark no lamp is judged"  # fmt: skip


def test_a_leak_trips_the_lamp_where_that_is_wanted(
    pole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak = names(pole)["leakage"]
    for trip, kept, ma, expected in (
        (0, None, 30, None),
        (1, None, 30, 1),
        (1, 0, 30, 0),  # who commanded it on did so while it leaked
        (1, 0, 10, None),
        (1, 1, 10, 1),  # it stays off until it is commanded on
    ):
        state = State(trip=kept)
        judged(pole, monkeypatch, state, {leak: ma}, leakage_trip=trip)
        assert state["trip"] == expected, (trip, kept, ma)


@pytest.mark.parametrize(
    ("misses", "expected"), [(0, (False, True)), (1, (False, False)), (2, (False, False)),
                             (3, (True, False)), (4, (True, False))],
)  # fmt: skip
def test_a_meter_that_is_silent(
    pole: Any, monkeypatch: pytest.MonkeyPatch, misses: int, expected: tuple[bool, bool]
) -> None:
    watched = Watched()
    events = types.SimpleNamespace(watch=_with_defaults(watched))
    monkeypatch.setattr(pole, "Events", lambda *_: events)
    pole.meter(State(), None, misses, SILENT_POLLS, 0, 0)
    assert watched.calls[DEVICE] == (*expected, 0)
