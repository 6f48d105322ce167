"""The virtual lamppost's own physics: lamp, supply, DALI line, sun. What tests trust."""

from datetime import UTC, datetime

import pytest
from astral import Observer
from astral import sun as astral_sun

from hil.virtual.lamp_scene import LATITUDE, LONGITUDE, lamppost
from hil.virtual.pins import Pins
from hil.virtual.sensors.dali import FORWARD_US, Gear, Lw14
from hil.virtual.sensors.lamp import STANDBY_DW, Supply, dimmed_by_pwm
from hil.virtual.sun import elevation

RELAY, DIM = 25, 26


class Clock:
    us = 0

    def __call__(self) -> int:
        return self.us


def test_energy_is_power_over_time_whatever_is_switched_when() -> None:
    clock, pins = Clock(), Pins(lambda pin, level: None)
    lamp = dimmed_by_pwm(1000, pins, RELAY, DIM)
    supply = Supply(lamp, pins, clock)
    pins.mode(RELAY, 3, 255, 255)
    clock.us += 3_600_000_000  # an hour of nothing
    pins.write(RELAY, 1)
    assert lamp.power_dw == STANDBY_DW
    pins.dim(DIM, 1000, 65535)
    clock.us += 36_000_000_000  # ten hours of 100 W
    pins.dim(DIM, 1000, 32768)
    assert lamp.power_dw == 530
    clock.us += 3_600_000_000
    pins.write(RELAY, 0)
    clock.us += 3_600_000_000
    assert supply.energy_cwh == 100 + 5
    assert supply.energy_dj == 10 * 3_600_000 + 53 * 36_000


def test_a_reset_of_the_chip_lets_the_lamp_go_dark() -> None:
    pins = Pins(lambda pin, level: None)
    lamp = dimmed_by_pwm(1000, pins, RELAY, DIM)
    pins.mode(RELAY, 3, 255, 255)
    pins.write(RELAY, 1)
    pins.dim(DIM, 1000, 65535)
    assert lamp.light == 1000
    pins.reset()
    assert lamp.light == lamp.power_dw == 0
    lamp.welded = True
    assert lamp.light == 1000


def line(short: int = 3) -> tuple[Clock, Gear, Lw14, list[bool]]:
    clock, on = Clock(), [True]
    gear = Gear(short, lambda: on[0], clock)
    bridge = Lw14([gear], clock)
    bridge.supply_changed()
    clock.us = 2_000_000
    return clock, gear, bridge, on


def ask(clock: Clock, bridge: Lw14, address: int, data: int) -> tuple[int, int]:
    """Status a while after a frame, and the byte that came."""
    bridge.transfer(bytes((1, address, data)), 0)
    clock.us += 60_000
    return bridge.transfer(b"\0", 1)[0], bridge.transfer(b"\1", 1)[0]


def test_gear_hears_its_own_address_and_the_broadcast() -> None:
    clock, gear, bridge, _ = line()
    for address, level in ((3 << 1, 100), (0xFE, 120)):
        ask(clock, bridge, address, level)
        assert gear.level == level
    ask(clock, bridge, 4 << 1, 7)
    assert gear.level == 120
    assert ask(clock, bridge, 3 << 1 | 1, 0xA0) == (0x0D, 120)
    assert ask(clock, bridge, 3 << 1 | 1, 0x92) == (0, 0), "silence is no"
    assert ask(clock, bridge, 0xFF, 0x91) == (0x0D, 0xFF)


def test_gear_is_deaf_after_its_supply_came_on_and_shows_its_power_on_level() -> None:
    clock, gear, bridge, on = line()
    ask(clock, bridge, 0xFE, 50)
    on[0] = False
    bridge.supply_changed()
    assert gear.level == 0
    on[0] = True
    bridge.supply_changed()
    ask(clock, bridge, 0xFE, 50)
    assert gear.level == 254
    clock.us += 600_000
    ask(clock, bridge, 0xFE, 50)
    assert gear.level == 50


def test_a_frame_before_the_line_is_free_is_lost() -> None:
    clock, gear, bridge, _ = line()
    bridge.transfer(bytes((1, 0xFE, 10)), 0)
    bridge.transfer(bytes((1, 0xFE, 20)), 0)
    assert gear.level == 10
    assert bridge.transfer(b"\0", 1)[0] & 0x40
    clock.us += FORWARD_US
    assert not bridge.transfer(b"\0", 1)[0] & 0x40


def test_two_answers_at_once_are_none_but_noise() -> None:
    clock, _, bridge, _ = line()
    other = Gear(9, lambda: True, clock)
    other._look()
    bridge.gear.append(other)
    clock.us += 1_000_000
    assert ask(clock, bridge, 0xFF, 0x91)[0] & 0x18 == 0x10


@pytest.mark.parametrize("place", [(LATITUDE, LONGITUDE), (-33.87, 151.21), (69.65, 18.96)])
def test_the_sun_stands_where_astral_has_it(place: tuple[float, float]) -> None:
    for day in range(0, 365, 9):
        at = datetime(2026, 1, 1, day % 24, tzinfo=UTC).timestamp() + 86_400 * day
        theirs = astral_sun.elevation(
            Observer(*place), datetime.fromtimestamp(at, UTC), with_refraction=False
        )
        assert abs(elevation(round(at * 1_000_000), *place) - theirs) < 0.05


def test_the_tale_tells_when_the_lamp_went_on_and_off_and_nothing_else() -> None:
    scene = lamppost(1_780_300_800_000_000, 1)
    scene.switched = [
        (1_780_313_617_000_000, 1000), (1_780_326_000_000_000, 500), (1_780_348_554_000_000, 0),
    ]  # fmt: skip
    on, off = scene.tale()
    assert on.startswith("lamppost: on at 06-01 19:33:37, the sun ")
    assert off.startswith("lamppost: off at 06-02 05:15:54, the sun ")
    for line in (on, off):
        assert abs(float(line.split()[7]) - 6) < 0.05
