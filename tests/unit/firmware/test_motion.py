"""The accelerometer's registers, as its datasheet names them, and what a gas meter makes of it."""

import sys
import types
from typing import Any

import pytest
from firmware_modules import forget, fresh

ADDRESS = 0x19
WHO, CTRL, REFERENCE, OUT, CFG, SRC, THS = 0x0F, 0x20, 0x26, 0x28, 0x30, 0x31, 0x32
MANY = 0x80
RUN = bytes.fromhex("5700008800")
WATCH = bytes.fromhex("2f01400008")
CONFIG = {
    "pins": {"scl": 9, "sda": 8},
    "tilt_ddeg": 0,
    "tilt_zero": 0,
    "quake_mg": 0,
    "quake_s": 3,
}


class Chip:
    """An LIS2DH12 that is read sample by sample."""

    def __init__(self) -> None:
        self.who = 0x33
        self.source = 0
        self.wrote: list[tuple[int, bytes]] = []
        self.read: list[tuple[int, int]] = []
        self.samples: Any = iter(())
        self.still = (0, 0, 1000)
        self.slept = 0

    def machine(self) -> types.ModuleType:
        chip = self

        class I2C:
            def __init__(self, number: int, scl: int, sda: int, freq: int) -> None:
                assert (number, scl, sda, freq) == (0, 9, 8, 100_000)

            def readfrom_mem(self, address: int, register: int, size: int) -> bytes:
                assert address == ADDRESS
                register -= MANY
                chip.read.append((register, size))
                if register == WHO:
                    return bytes((chip.who,))
                if register == SRC:
                    found, chip.source = chip.source, 0
                    return bytes((found,))
                if register == OUT:
                    axes = next(chip.samples, chip.still)
                    return b"".join((mg << 4).to_bytes(2, "little", signed=True) for mg in axes)
                assert register == REFERENCE
                return b"\0"

            def writeto_mem(self, address: int, register: int, data: bytes) -> None:
                assert address == ADDRESS
                chip.wrote.append((register, bytes(data)))

        made = types.ModuleType("machine")
        vars(made).update(I2C=I2C, Pin=lambda number: number)
        return made

    def sleep_ms(self, ms: int) -> None:
        self.slept += ms


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Chip()
    monkeypatch.setitem(sys.modules, "machine", made.machine())
    module = fresh("sense.tilt")
    monkeypatch.setattr(module, "time", types.SimpleNamespace(sleep_ms=made.sleep_ms))
    forget("roles.gas_motion")
    made.module = module  # type: ignore[attr-defined]
    return made


def test_another_chip_is_refused(chip: Any) -> None:
    chip.module.Tilt(9, 8)
    chip.who = 0x32
    with pytest.raises(OSError, match="19"):
        chip.module.Tilt(9, 8)


def test_it_is_read_at_12_bits_as_a_mean_of_eight(chip: Any) -> None:
    chip.samples = iter([(n, -n, 1000 + n) for n in range(0, 160, 20)])
    assert chip.module.Tilt(9, 8).read() == (70, -70, 1070)
    assert chip.wrote == [(CTRL | MANY, RUN)]
    assert chip.slept >= 80
    chip.still = (0, 0, 1000)
    assert chip.module.Tilt(9, 8).read() == (0, 0, 1000)


@pytest.mark.parametrize(
    ("samples", "most"),
    [([(0, 0, 1000)] * 10, 0), ([(0, 0, 1000)] * 9 + [(0, 0, 1100)], 90),
     ([(0, 0, 1000)] * 9 + [(0, -100, 1000)], 90), ([(50, 0, 0), (-50, 0, 0)] * 5, 50)],
)  # fmt: skip
def test_a_peak_is_the_farthest_from_the_mean_of_any_axis(
    chip: Any, samples: list[Any], most: int
) -> None:
    chip.samples = iter(samples)
    assert chip.module.Tilt(9, 8).peak(100) == most
    assert len([each for each in chip.read if each[0] == OUT]) >= 10


@pytest.mark.parametrize(
    ("mg", "steps"), [(1, 1), (16, 1), (17, 2), (250, 16), (2032, 127), (9999, 127)]
)
def test_it_is_armed_from_what_it_feels_now(chip: Any, mg: int, steps: int) -> None:
    sensor = chip.module.Tilt(9, 8)
    chip.read.clear()
    chip.source = 0x40
    sensor.arm(mg)
    assert chip.wrote == [(CTRL | MANY, WATCH), (THS | MANY, bytes((steps, 0))), (CFG, b"\x2a")]
    assert chip.read == [(REFERENCE, 1), (SRC, 1)], "the latch is let go"
    assert not sensor.moved()


@pytest.mark.parametrize(
    ("source", "moved"), [(0, False), (0x40, True), (0x3F, False), (0x7F, True)]
)
def test_it_was_moved_where_its_latch_says_so(chip: Any, source: int, moved: bool) -> None:
    sensor = chip.module.Tilt(9, 8)
    chip.source = source
    assert sensor.moved() is moved
    assert not sensor.moved(), "asked once it is forgotten"


def feel(chip: Any, shaken: bool = False, **config: int) -> tuple[tuple[int, bool], int]:
    """What a gas meter feels, and the threshold that is armed."""
    from node.roles import gas_motion

    chip.wrote.clear()
    found = gas_motion.feel({**CONFIG, **config}, shaken)
    return found, dict(chip.wrote)[THS | MANY][0]


def test_where_nothing_is_watched_it_rests_at_a_jolt_nobody_overlooks(chip: Any) -> None:
    assert feel(chip) == ((0, False), 60)
    assert (OUT, 6) not in chip.read


def test_a_meter_that_hangs_askew(chip: Any) -> None:
    chip.still = (0, 1000, 0)
    (askew, quake), _ = feel(chip, tilt_ddeg=50)
    assert (askew, quake) == (0, False), "as it hung when it was asked first"


@pytest.mark.parametrize(
    ("seconds", "shaken", "quake"), [(3, True, True), (2, True, False), (0, True, False)]
)
def test_an_earthquake_shakes_in_every_second(
    chip: Any, seconds: int, shaken: bool, quake: bool
) -> None:
    def second(n: int) -> list[Any]:
        return [(300, 0, 1000), (-300, 0, 1000)] * 50 if n < seconds else [(0, 0, 1000)] * 100

    chip.samples = iter([sample for n in range(3) for sample in second(n)])
    (_, found), steps = feel(chip, shaken, quake_mg=250)
    assert found is quake
    assert steps == 16


def test_nobody_looks_for_long_where_nothing_moved(chip: Any) -> None:
    feel(chip, quake_mg=250)
    assert (OUT, 6) not in chip.read
    chip.source = 0x40
    feel(chip, quake_mg=250)
    assert (OUT, 6) in chip.read
