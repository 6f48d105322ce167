"""A gas meter's register on a virtual board: sleeps, resets, power cuts with a warning and without
it, magnets and reverse flow. No fleet: the journal on its flash has what it would report.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fleet.flashing.hardware import load_board
from fleet.wire import cbor
from hil.virtual.node import Credentials, VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND, Scene
from hil.virtual.stimulus import Change, Level, Pulse, merge

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00 UTC, 16:00 at UTC+8
BOARD = "esp32s3-bc660k"
PINS = load_board(BOARD).pins
A, B, PFAIL = PINS["pulse"], PINS["pulse2"], PINS["pfail"]
GAS, DAY, MONTH, REVERSE = 1, 6, 7, 9
REVERSED, MAGNET, GAP = 1011, 1012, 1014
GOOD, ESTIMATED, SUSPECT = 0, 1, 2
LITRES = 10


class Meter:
    """One node and what its journal has."""

    def __init__(
        self,
        folder: Path,
        schedule: Iterator[tuple[int, Change]],
        start: int,
        board: str,
        **more: Any,
    ) -> None:
        config = {"litres_per_pulse": LITRES, "report_s": 604_800, "report_records": 1000}
        scene = Scene("gas-meter", board, config, start)
        scene._schedule = schedule
        self.node = VirtualNode(folder, mac_of(str(folder)), scene)
        self.node.provision(Credentials(b"", b"", b"", b""), "localhost", 1, **more)
        self.board = self.node.board

    def records(self) -> list[tuple[int, int, dict[int, int]]]:
        """(us, quality, {quantity: value}) in order."""
        found = []
        for _, body in self.node.journal().records:
            flat: Any = cbor.decode(body)
            values = dict(zip(flat[2::2], flat[3::2], strict=True))
            found.append((flat[0] * SECOND, flat[1], values))
        return found

    def of(self, quantity: int) -> list[tuple[int, int, int]]:
        """(us, quality, value) of the records that have it."""
        return [
            (at, q, values[quantity]) for at, q, values in self.records() if quantity in values
        ]

    async def until(self, at_us: int) -> None:
        await self.board.run_for(at_us - self.board.now_us, 120)

    async def asleep(self) -> None:
        await self.board.run_until(lambda: self.board.state == "asleep")

    async def warned_cut(self, hold_up_us: int = 2 * SECOND) -> None:
        """The supply fails; what the capacitor holds lasts so long."""
        self.board.pins.drive(PFAIL, 1)
        await self.board.run_for(hold_up_us)
        await self.board.power_cut()
        self.board.pins.drive(PFAIL, 0)


@pytest.fixture
async def meter(tmp_path: Path) -> Any:
    made: list[Meter] = []

    def make(schedule: Any, start: int = START, board: str = BOARD, **more: Any) -> Meter:
        made.append(Meter(tmp_path / str(len(made)), iter(schedule), start, board, **more))
        return made[-1]

    yield make
    for each in made:
        await each.board.stop()


def steady(since: int, until: int, every_s: int) -> list[tuple[int, Change]]:
    times = range(since + 7 * SECOND, until, every_s * SECOND)
    return [(at, Pulse(A, 500_000)) for at in times]


def counted(schedule: list[tuple[int, Change]], until: int) -> int:
    return LITRES * sum(at < until for at, _ in schedule)


Make = Callable[..., Meter]


async def test_a_cut_with_a_warning_loses_no_pulse(meter: Make) -> None:
    pulses = steady(START + HOUR, START + 6 * HOUR, 20)
    m = meter(pulses)
    for cut in range(1, 6):
        await m.until(START + cut * HOUR + 1234 * SECOND)
        await m.warned_cut()
        m.board.power_on()
        m.board.pins.drive(PFAIL, 0)
    await m.until(START + 8 * HOUR)
    assert m.of(GAS)[-1][1:] == (GOOD, counted(pulses, START + 8 * HOUR))
    assert m.of(GAP) == []


async def test_a_supply_that_fails_amid_a_contact_loses_no_pulse(meter: Make) -> None:
    pulses = steady(START + HOUR, START + 3 * HOUR, 20)
    m = meter(pulses)
    await m.until(START + 2 * HOUR + 1234 * SECOND)
    boots = m.board.life.boots
    m.board.press(PINS["button"])
    await m.board.run_until(lambda: m.board.state == "awake")
    await m.board.run_for(SECOND)
    assert m.board.state == "awake", "it talks"
    await m.warned_cut()
    assert m.board.life.boots == boots + 2, "the contact ended, and the next life wrote"
    m.board.power_on()
    await m.until(START + 5 * HOUR)
    assert m.of(GAS)[-1][1:] == (GOOD, counted(pulses, START + 5 * HOUR))
    assert m.of(GAP) == []


async def test_without_a_warning_the_gap_is_flagged_and_bounded(meter: Make) -> None:
    pulses = steady(START + HOUR, START + 3 * HOUR, 60)
    m = meter(pulses)
    await m.until(START + 2 * HOUR + 1800 * SECOND)
    await m.board.power_cut()
    m.board.power_on()
    await m.until(START + 5 * HOUR)
    *_, (_, _, last) = m.of(GAS)
    lost = counted(pulses, START + 5 * HOUR) - last
    since = counted(pulses, START + 2 * HOUR + 1800 * SECOND) - counted(pulses, START + 2 * HOUR)
    assert 0 < lost <= since + LITRES  # and one that may fall into the start
    assert [value for _, _, value in m.of(GAP)] == [1, 0]
    flagged = [at for at, quality, _ in m.of(GAS) if quality == SUSPECT]
    assert flagged == [START + 3 * HOUR]
    values = [value for _, _, value in m.of(GAS)]
    assert values == sorted(values)


@pytest.mark.parametrize("kind", ["watchdog", "while awake"])
async def test_a_reset_loses_no_pulse(meter: Make, kind: str) -> None:
    pulses = steady(START + HOUR, START + 3 * HOUR, 15)
    m = meter(pulses)
    await m.until(START + 2 * HOUR)
    if kind == "watchdog":
        run = m.board.life.run
        await m.board.run_until(lambda: m.board.state == "awake")
        run = m.board.life.run
        assert run is not None
        from hil.virtual.vmrun import End

        run.kill(End("wdt"))
    else:
        memory = m.board.rtc.memory
        await m.board.run_until(lambda: m.board.state == "awake")
        m.board.rtc.memory = memory[:20]  # torn: the register does not rest on it
    await m.until(START + 5 * HOUR)
    assert m.of(GAS)[-1][2] == counted(pulses, START + 5 * HOUR)
    assert m.of(GAP) == []


async def test_a_pulse_in_the_last_moments_of_a_failing_supply_is_kept(meter: Make) -> None:
    at = START + 2 * HOUR + 600 * SECOND
    m = meter([(at + 1_000_000, Pulse(A, 500_000))])
    await m.until(at)
    m.board.pins.drive(PFAIL, 1)
    await m.board.run_for(3 * SECOND)
    await m.board.power_cut()
    m.board.pins.drive(PFAIL, 0)
    m.board.power_on()
    await m.until(START + 4 * HOUR)
    assert (m.of(GAS)[-1][2], m.of(GAP)) == (LITRES, [])


async def test_a_supply_that_comes_back_goes_on_and_a_later_cut_is_a_gap(meter: Make) -> None:
    pulses = steady(START + HOUR, START + 4 * HOUR, 30)
    m = meter(pulses)
    await m.until(START + 2 * HOUR + 100 * SECOND)
    m.board.pins.drive(PFAIL, 1)
    await m.board.run_for(5 * SECOND)
    m.board.pins.drive(PFAIL, 0)
    await m.until(START + 3 * HOUR + 1800 * SECOND)
    assert m.of(GAS)[-1][2] == counted(pulses, START + 3 * HOUR)
    await m.board.power_cut()
    m.board.power_on()
    await m.until(START + 5 * HOUR)
    assert [value for _, _, value in m.of(GAP)] == [1, 0]


async def test_days_and_months_are_frozen_at_local_midnight(meter: Make) -> None:
    # 2026-06-30 16:00 UTC is the first of July at UTC+8.
    month = 1_782_835_200 * SECOND
    start = month - 30 * HOUR
    pulses = steady(start + HOUR, start + 40 * HOUR, 1800)
    m = meter(pulses, start)
    await m.until(month + 2 * HOUR + 60 * SECOND)
    days = m.of(DAY)
    assert [at for at, _, _ in days] == [month - 24 * HOUR, month]
    assert [(at, value) for at, _, value in m.of(MONTH)] == [(month, days[-1][2])]
    for at, quality, value in days + m.of(GAS):
        assert (quality, value) == (GOOD, counted(pulses, at))
    hours = [at for at, _, _ in m.of(GAS)]
    assert hours == list(range(hours[0], month + 2 * HOUR + 1, HOUR))


async def test_a_day_that_began_without_power_is_frozen_late_and_says_so(meter: Make) -> None:
    m = meter(steady(START + HOUR, START + 4 * HOUR, 60))
    await m.until(START + 7 * HOUR + 1800 * SECOND)
    await m.warned_cut()
    m.board.clock.advance(START + 9 * HOUR + 1800 * SECOND)
    m.board.power_on()
    await m.until(START + 11 * HOUR)
    assert [(at, quality) for at, quality, _ in m.of(DAY)] == [(START + 8 * HOUR, ESTIMATED)]


async def test_the_register_rolls_over(meter: Make) -> None:
    pulses = steady(START + HOUR, START + 5 * HOUR, 5)
    m = meter(pulses, register_digits=4)
    await m.until(START + 7 * HOUR)
    values = [value for _, _, value in m.of(GAS)]
    assert len(values) >= 6
    assert values == [counted(pulses, at) % 10_000 for at, _, _ in m.of(GAS)]
    assert sum(after < before for before, after in pairwise(values)) == 2


def turn(at: int, order: list[tuple[int, int]]) -> list[tuple[int, Change]]:
    """A turn of the wheel, a quarter each second."""
    return [(at + n * SECOND, Level(pin, level)) for n, (pin, level) in enumerate(order)]


BACKWARDS = [(B, 1), (A, 1), (B, 0), (A, 0)]


async def test_gas_that_flows_backwards_is_told_at_once_and_counts_apart(meter: Make) -> None:
    at = START + 2 * HOUR + 600 * SECOND
    back = [change for n in range(6) for change in turn(at + n * 10 * SECOND, BACKWARDS)]
    forward = steady(START + HOUR, START + 2 * HOUR, 60)
    later = steady(START + 4 * HOUR, START + 5 * HOUR, 60)
    m = meter([*forward, *back, *later])
    await m.until(START + 3 * HOUR + 60 * SECOND)
    (begun,) = m.of(REVERSED)
    assert at < begun[0] < at + 60 * SECOND
    await m.until(START + 7 * HOUR)
    assert [value for _, _, value in m.of(REVERSED)] == [1, 0]
    # The quarter that the wheel had come to is not the one that the first turn began at.
    assert m.of(REVERSE)[-1][2] in (5 * LITRES, 6 * LITRES)
    assert m.of(GAS)[-1][2] - counted([*forward, *later], START + 7 * HOUR) in (0, -LITRES)


async def test_a_magnet_is_told_at_once(meter: Make) -> None:
    at = START + 2 * HOUR + 600 * SECOND
    magnet: list[tuple[int, Change]] = [(at, Level(A, 1)), (at, Level(B, 1))]
    gone: list[tuple[int, Change]] = [(at + 2 * HOUR, Level(A, 0)), (at + 2 * HOUR, Level(B, 0))]
    m = meter(merge(steady(START + HOUR, START + 2 * HOUR, 60), magnet, gone))
    await m.until(at + 10 * SECOND)
    assert [(value, begun - at < 5 * SECOND) for begun, _, value in m.of(MAGNET)] == [(1, True)]
    await m.until(START + 7 * HOUR)
    assert [value for _, _, value in m.of(MAGNET)] == [1, 0]


async def test_the_node_sleeps_through_pulses(meter: Make) -> None:
    m = meter(steady(START + HOUR, START + 13 * HOUR, 240))  # 150 pulses, 150 l an hour
    await m.until(START + 3 * HOUR)
    wakes = m.board.life.wakes
    await m.until(START + 13 * HOUR)
    assert (
        m.board.life.wakes - wakes <= 10 + 12
    )  # one an hour, some flow that is looked at, and repeats of the contact


async def test_a_chip_without_ulp_counts_by_its_gpio_wakes(meter: Make) -> None:
    pins = {**load_board("esp32c3-bc95").pins, "pulse": 4}
    del pins["wake"]
    # Longer than a boot: where a button too may have woken it, an open contact is no pulse. Some
    # fall into contacts that fail, and are repeated at random moments.
    pulses: list[tuple[int, Change]] = [
        (START + 1800 * SECOND + n * 97 * SECOND, Pulse(4, 5_000_000)) for n in range(60)
    ]
    opened = START + 6 * HOUR + 1800 * SECOND
    closed: list[tuple[int, Change]] = [(START + 4 * HOUR, Level(4, 1)), (opened, Level(4, 0))]
    later: list[tuple[int, Change]] = [
        (opened + (60 + n * 97) * SECOND, Pulse(4, 5_000_000)) for n in range(8)
    ]
    m = meter([*pulses, *closed, *later], board="esp32c3-bc95", pins=pins)
    await m.until(START + 5 * HOUR + 60 * SECOND)
    wakes = m.board.life.wakes
    assert m.of(GAS)[-1][2] == 61 * LITRES
    await m.until(opened - 60 * SECOND)
    assert m.board.life.wakes - wakes <= 1 + 3  # the hour, and repeats
    await m.until(START + 8 * HOUR + 60 * SECOND)
    assert (m.of(GAS)[-1][2], m.of(GAP)) == (69 * LITRES, [])


async def test_an_esp32_counts_on_its_own_pads(meter: Make) -> None:
    pins = {**load_board("esp32-ec200").pins, "pulse": 4}
    pulses = steady(START + HOUR, START + 3 * HOUR, 90)
    assert A == 4
    m = meter(pulses, board="esp32-ec200", pins=pins)
    assert m.board.ulp is not None
    await m.until(START + 2 * HOUR + 1800 * SECOND)
    before = m.board.life.wakes
    await m.until(START + 4 * HOUR + 60 * SECOND)
    assert m.of(GAS)[-1][2] == counted(pulses, START + 4 * HOUR)
    assert m.board.life.wakes - before <= 2 + 3
    assert m.board.ulp.fault == ""
