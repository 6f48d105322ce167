"""A gas meter's role beside its counting: when it looks, a failing supply, a wheel at rest."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from meter_rig import PFAIL, SECOND, Asleep, Meter
from node.store.rtcstate import RtcState

NOW = 1_780_300_800
HOUR = 3600
MAGNET = 12
CONFIG = {
    "litres_per_pulse": 10, "register_digits": 8, "utc_offset_s": 28_800, "scan_ms": 20,
    "reeds_overlap": 1, "reverse_l": 20, "magnet_s": 600, "freeze_days": 1,
}  # fmt: skip


@pytest.fixture
def meter() -> Iterator[Meter]:
    with Meter(NOW, CONFIG, warned=True) as meter:
        yield meter


def state(meter: Meter) -> Any:
    kept = RtcState(meter._rtc)
    kept.load()
    return kept


@pytest.mark.parametrize(
    ("look", "due"),
    [(0, HOUR), (300, 300), (0 - 5, 1), (-40_000, 1), (2 * HOUR, HOUR)],
)
def test_a_time_that_ran_out_while_it_looked_is_looked_at_next(
    meter: Meter, look: int, due: int
) -> None:
    role = meter.wake()
    role._state.set("look", NOW + look if look else 0)
    assert role.due(NOW) == NOW + due


def test_a_supply_that_fails_awake_puts_the_next_contact_off(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["node.clock"], "now", lambda: NOW)
    meter.wake()
    waits = []
    for n in range(5):
        role = meter.wake()
        assert role is not None
        role._state.set("half", 1)
        with pytest.raises(Asleep):
            role._dying(None)
        kept = state(meter)
        assert (kept.get("fails"), kept.get("btn"), kept.get("half")) == (n + 1, 1, None)
        waits.append(kept.get("retry") - NOW)
        meter.run(60 * SECOND)
    assert [60 << n <= wait <= 75 << n for n, wait in enumerate(waits)] == [True] * 5


def test_an_outage_asleep_puts_nothing_off(meter: Meter) -> None:
    meter.wake()
    meter.levels[PFAIL] = 1
    for _ in range(5):
        assert meter.wake() is None
        meter.run(60 * SECOND)
    meter.levels[PFAIL] = 0
    meter.wake()
    assert not state(meter).get("retry")


def test_the_supply_s_line_is_not_the_button(meter: Meter) -> None:
    role = meter.wake()
    assert not role.caller()
    meter.levels[PFAIL] = 1
    assert role.caller()


def test_a_wheel_that_rests_there_twice_is_no_magnet(meter: Meter) -> None:
    meter.wake()
    for _ in range(2):  # at rest where both contacts are closed
        meter.turn()
        meter.run(SECOND)
    meter.wake()
    assert MAGNET in state(meter).get("since")
    meter.turn()
    meter.run(SECOND)
    meter.wake()
    assert MAGNET not in state(meter).get("since"), "it is looked at though nothing else is"


def test_nor_is_one_that_turned_between_two_looks(meter: Meter) -> None:
    meter.wake()
    for _ in range(4):
        for _ in range(4 if meter.turned else 2):
            meter.turn()
            meter.run(SECOND)
        meter.wake()
        meter.run(500 * SECOND)
    assert MAGNET not in state(meter).get("events", ())
    meter.run(600 * SECOND)
    meter.wake()
    assert MAGNET in state(meter).get("events"), "at rest for so long it is one"


def test_a_flash_that_takes_no_register_is_no_reason_not_to_look(
    meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = meter.wake()
    looks: list[bool] = []
    monkeypatch.setattr(role, "_safely", lambda what: looks.append(True))

    def full(*_: Any) -> None:
        raise OSError(-0x1105)

    monkeypatch.setattr(role._register, "commit", full)
    with pytest.raises(OSError, match=str(-0x1105)):
        role.sense(NOW + 2 * HOUR, 4, 0)
    assert looks == [True]
