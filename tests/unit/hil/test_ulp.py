"""The ULP's program on the virtual board's interpreter: what it counts, and what it costs."""

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.paths import firmware_dir
from fleet.releases import ulp as assembler
from hil.virtual.clock import VirtualClock
from hil.virtual.ulp import BASE, Ulp

PERIOD = 20_000
DATA = 128
STATE, Q, FORWARD, BACKWARD, JUMPS, LEFT, WANT = 2, 3, 4, 5, 6, 7, 8
A, B = 4, 10  # GPIO of the ESP32-S3
ESP32_PINS = 4, 27
ONE, APART, OVERLAP = "1115111111111111", "111f113f131f1111", "120f01f22f10f021"
TURN = [(1, 0), (1, 1), (0, 1), (0, 0)]  # of overlapping contacts, forwards


class Rig:
    """The program, loaded as sense/ulp.py does; contacts and the CPU's sleep are ours."""

    def __init__(self, table: str = OVERLAP, chip: str = "esp32s3") -> None:
        self.clock = VirtualClock(1_000_000_000, lambda: 0.0)
        self.levels = dict.fromkeys((*ESP32_PINS, A, B), 0)
        self.asleep = True
        self.woken = 0
        self.ulp = Ulp(chip, self.clock, self.levels.__getitem__, lambda: self.asleep, self._wake)
        self.pins = (A, B) if chip == "esp32s3" else ESP32_PINS
        source = (firmware_dir() / "ulp" / "reeds.s").read_text()
        program = bytearray(assembler.assemble(source, chip))
        pads = (A, B) if chip == "esp32s3" else (0, 7)
        first = 10 if chip == "esp32s3" else 24
        base = 0x6000_8484 if chip == "esp32s3" else 0x3FF4_8494
        for at, pad in zip((1, 3), pads, strict=True):
            if table == ONE:
                pad = pads[0]  # noqa: PLW2901
            self.ulp.write(base + 4 * pad, 0x1008_2000)
            word = struct.unpack_from("<I", program, 12 + 4 * at)[0]
            struct.pack_into(
                "<I", program, 12 + 4 * at, word | pad + first << 18 | pad + first << 23
            )
        assert self.ulp.load(0, bytes(program))
        self.put(Q, 4)  # so that a whole turn from here on is the first pulse
        self.put(9, 0 if table == APART else 4)
        for n, step in enumerate(table):
            self.put(16 + n, int(step, 16))
        self.ulp.period_us = PERIOD
        self.ulp.start(0)

    def _wake(self) -> None:
        self.woken += 1
        self.asleep = False

    def put(self, field: int, value: int) -> None:
        self.ulp.write(BASE + 4 * (DATA + field), value)

    def get(self, field: int) -> int:
        return self.ulp.read(BASE + 4 * (DATA + field)) & 0xFFFF

    def run(self, us: int) -> None:
        end = self.clock.now_us + us
        while (head := self.clock.board.head()) is not None and head[0] <= end:
            self.clock.advance(head[0])
            self.clock.fire_due()
        self.clock.advance(end)

    def set(self, a: int, b: int, us: int = 5 * PERIOD) -> None:
        for pin, level in zip(self.pins, (a, b), strict=True):
            if self.levels[pin] != level:
                self.levels[pin] = level
                self.ulp.kick()
        self.run(us)

    def turns(self, n: int, order: list[tuple[int, int]] = TURN) -> None:
        for _ in range(n):
            for a, b in order:
                self.set(a, b)


BACK = [(0, 1), (1, 1), (1, 0), (0, 0)]


@pytest.mark.parametrize("chip", ["esp32", "esp32s3"])
def test_turns_are_counted_by_their_direction(chip: str) -> None:
    rig = Rig(chip=chip)
    rig.turns(7)
    assert (rig.get(FORWARD), rig.get(BACKWARD), rig.get(JUMPS)) == (7, 0, 0)
    rig.turns(3, BACK)
    assert (rig.get(FORWARD), rig.get(BACKWARD), rig.get(JUMPS)) == (7, 3, 0)
    assert rig.ulp.fault == ""


def test_a_wheel_that_rocks_counts_nothing() -> None:
    rig = Rig()
    for _ in range(50):
        for a, b in [(1, 0), (1, 1), (1, 0), (0, 0)]:
            rig.set(a, b)
    assert (rig.get(FORWARD), rig.get(BACKWARD)) == (0, 0)
    rig.turns(2)
    assert rig.get(FORWARD) == 2


@given(st.lists(st.sampled_from([1, 1, 1, -1]), max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_way_the_wheel_goes_the_difference_is_where_it_stands(steps: list[int]) -> None:
    rig = Rig()
    around = [(0, 0), (1, 0), (1, 1), (0, 1)]
    place = 0
    for step in steps:
        place += step
        rig.set(*around[place % 4])
    net = rig.get(FORWARD) - (rig.get(BACKWARD))
    assert 4 * net + rig.get(Q) - 4 == place
    assert rig.get(JUMPS) == 0


def test_a_contact_that_bounces_is_one_pulse() -> None:
    rig = Rig(ONE)
    for _ in range(20):
        for level in (1, 0, 1, 0, 1):  # within a scan or two
            rig.set(level, 0, 3_000)
        rig.set(1, 0)
        for level in (0, 1, 0, 1, 0):
            rig.set(level, 0, 3_000)
        rig.set(0, 0)
    assert rig.get(FORWARD) == 20


def test_a_glitch_shorter_than_a_scan_is_none() -> None:
    rig = Rig(ONE)
    for _ in range(100):
        rig.set(1, 0, PERIOD - 1)
        rig.set(0, 0)
    assert rig.get(FORWARD) == 0


def test_contacts_that_are_apart_count_by_turns() -> None:
    rig = Rig(APART)
    rig.turns(10, [(1, 0), (0, 0), (0, 1), (0, 0)])
    assert rig.get(FORWARD) in (9, 10)  # half a turn of the first is not known
    before = rig.get(FORWARD)
    for _ in range(30):  # it rocks at one of them
        rig.set(1, 0)
        rig.set(0, 0)
    assert rig.get(FORWARD) <= before + 1
    assert rig.get(JUMPS) == 0


@pytest.mark.parametrize("table", [APART, OVERLAP])
def test_a_magnet_closes_both_at_once_and_wakes_the_cpu(table: str) -> None:
    rig = Rig(table)
    rig.set(1, 1)
    assert (rig.get(JUMPS), rig.woken) == (1, 1)
    rig.asleep = True
    rig.set(0, 0)
    rig.turns(2, TURN if table == OVERLAP else [(1, 0), (0, 0), (0, 1), (0, 0)])
    assert rig.get(BACKWARD) == 0


def test_the_cpu_is_woken_after_as_many_pulses_as_it_asked_for() -> None:
    rig = Rig()
    rig.put(LEFT, 3)
    rig.turns(2)
    assert rig.woken == 0
    rig.turns(1)
    assert (rig.woken, rig.get(LEFT)) == (1, 0)
    rig.asleep = True
    rig.turns(5)
    assert rig.woken == 1  # nobody asked again


def test_a_call_waits_for_a_cpu_that_is_awake() -> None:
    rig = Rig()
    rig.asleep = False
    rig.put(LEFT, 1)
    rig.turns(1)
    assert (rig.woken, rig.get(WANT)) == (0, 1)
    rig.asleep = True
    rig.ulp.kick()
    rig.run(2 * PERIOD)
    assert (rig.woken, rig.get(WANT)) == (1, 0)


def test_counts_begin_anew_behind_16_bits_and_stay_apart() -> None:
    rig = Rig()
    rig.put(FORWARD, 0xFFFF)
    rig.turns(1)
    assert (rig.get(FORWARD), rig.get(BACKWARD), rig.get(JUMPS)) == (0, 0, 0)


def test_a_run_that_finds_nothing_is_not_executed_again() -> None:
    rig = Rig()
    rig.run(3_600_000_000)
    assert rig.ulp.runs <= 2
    assert 0 < rig.ulp.idle_us < 10  # of 20,000: with 150 us of start-up under a percent


def _every_tick(rig: Rig, us: int) -> Iterator[None]:
    for _ in range(us // PERIOD):
        rig.ulp.kick()
        rig.run(PERIOD)
        yield


def test_skipping_idle_runs_gives_what_executing_them_all_does() -> None:
    one, two = Rig(), Rig()
    for a, b in TURN * 3 + BACK * 2:
        one.set(a, b, 17 * PERIOD)
        two.set(a, b, 0)
        list(_every_tick(two, 17 * PERIOD))
    assert one.ulp.memory == two.ulp.memory
    assert two.ulp.runs > 2 * one.ulp.runs


def test_a_program_that_does_not_halt_is_a_fault() -> None:
    rig = Rig()
    loop = assembler.assemble("start:\n jump start\n", "esp32s3")
    assert rig.ulp.load(0, loop)
    rig.ulp.kick()
    rig.run(PERIOD)
    assert rig.ulp.fault == "ULP: no HALT"


def test_a_pin_that_the_cpu_took_back_is_not_seen() -> None:
    rig = Rig(ONE)
    rig.ulp.release(A)
    rig.set(1, 0)
    assert rig.get(FORWARD) == 0
