"""T3412, T3324 and eDRX: the vectors of TS 24.008, and the rounding rules for any time."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.link import timers

FIRMWARE = Path(__file__).parents[3] / "firmware"
MINUTE, HOUR = 60, 3600
T3412 = [
    ("01000111", 70 * HOUR),
    ("01000011", 30 * HOUR),
    ("11000001", 320 * HOUR),
    ("00101010", 10 * HOUR),
    ("01000001", 10 * HOUR),
    ("10000001", 30),
    ("10111111", 31 * MINUTE),
    ("01100001", 2),
    ("00000001", 10 * MINUTE),
    ("11011111", 35_712_000),
]
T3324 = [
    ("00100100", 240),
    ("00100011", 180),
    ("00000001", 2),
    ("01000011", 18 * MINUTE),
    ("01011111", 11_160),
    ("10100011", 180),  # a unit that is not in use means minutes
]
EDRX = [
    ("0010", 20_480),
    ("0011", 40_960),
    ("0101", 81_920),
    ("1001", 163_840),
    ("1010", 327_680),
    ("1011", 655_360),
    ("1100", 1_310_720),
    ("1101", 2_621_440),
    ("1110", 5_242_880),
    ("1111", 10_485_760),
]
# What the codes of each timer can say, without looking at the codec.
T3412_TIMES = {n * unit for unit in (2, 30, 60, 600, 3600, 36_000, 1_152_000) for n in range(32)}
T3324_TIMES = {n * unit for unit in (2, 60, 360) for n in range(32)}


@pytest.mark.parametrize(("bits", "seconds"), T3412)
def test_t3412_of_the_vectors(bits: str, seconds: int) -> None:
    assert timers.decode_t3412(bits) == seconds
    assert timers.decode_t3412(timers.encode_t3412(seconds)) == seconds


@pytest.mark.parametrize(("bits", "seconds"), T3324)
def test_t3324_of_the_vectors(bits: str, seconds: int) -> None:
    assert timers.decode_t3324(bits) == seconds
    assert timers.decode_t3324(timers.encode_t3324(seconds)) == seconds


@pytest.mark.parametrize(("bits", "cycle"), EDRX)
def test_edrx_of_the_vectors(bits: str, cycle: int) -> None:
    assert timers.decode_edrx(bits) == cycle
    assert timers.encode_edrx(cycle) == bits
    assert timers.encode_edrx(cycle + 1) == bits


def test_the_finest_unit_that_is_exact_is_taken() -> None:
    assert timers.encode_t3412(10 * HOUR) == "00101010"  # 10 x 1 h, not 1 x 10 h
    assert timers.encode_t3412(70 * HOUR) == "01000111"
    assert timers.encode_t3412(60) == "01111110"  # 30 x 2 s
    assert timers.encode_t3324(60) == "00011110"
    assert timers.encode_t3324(240) == "00100100"


def test_what_does_not_fit_is_rounded_up_for_t3412_and_down_for_t3324() -> None:
    assert timers.decode_t3412(timers.encode_t3412(61)) == 62
    assert timers.decode_t3412(timers.encode_t3412(71 * HOUR)) == 80 * HOUR
    assert timers.decode_t3324(timers.encode_t3324(119)) == 62
    assert timers.decode_t3324(timers.encode_t3324(11_159)) == 10_800
    assert timers.decode_t3324(timers.encode_t3324(1)) == 2  # 0 would be no active time at all


@pytest.mark.parametrize("bits", ["11100000", "11111111", "", "0010", "0010010x", "001001000"])
def test_deactivated_timers_and_no_timers_are_none(bits: str) -> None:
    assert timers.decode_t3412(bits) is None
    assert timers.decode_t3324(bits) is None


@pytest.mark.parametrize("bits", ["0000", "0001", "0100", "0110", "0111", "1000"])
def test_unused_cycles_are_the_shortest(bits: str) -> None:
    assert timers.decode_edrx(bits) == 20_480


def test_the_paging_time_window_is_in_steps_of_2560_ms() -> None:
    assert [timers.ptw_ms(f"{n:04b}") for n in (0, 3, 15)] == [2560, 10_240, 40_960]
    assert timers.ptw_ms("2") is None
    assert timers.decode_edrx("") is None


@pytest.mark.parametrize("seconds", [-1, 35_712_001])
def test_a_t3412_that_no_code_says_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="T3412"):
        timers.encode_t3412(seconds)


@pytest.mark.parametrize("seconds", [-1, 11_161])
def test_a_t3324_that_no_code_says_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="T3324"):
        timers.encode_t3324(seconds)


@given(st.integers(0, 35_712_000))
def test_t3412_is_the_least_that_is_not_less(seconds: int) -> None:
    granted = timers.decode_t3412(timers.encode_t3412(seconds))
    assert granted == min(time for time in T3412_TIMES if time >= seconds)


@given(st.integers(0, 11_160))
def test_t3324_is_the_most_that_is_not_more_but_0_for_0_only(seconds: int) -> None:
    granted = timers.decode_t3324(timers.encode_t3324(seconds))
    assert granted == max(time for time in T3324_TIMES if time <= seconds) or seconds == 1
    assert bool(granted) == bool(seconds)


@given(st.integers(0, 1 << 40))
def test_edrx_is_the_longest_that_is_not_longer_and_20480_ms_at_least(cycle: int) -> None:
    decoded = timers.decode_edrx(timers.encode_edrx(cycle))
    assert decoded == max([20_480] + [each for _, each in EDRX if each <= cycle])


@given(st.text(max_size=9))
def test_any_text_is_taken(text: str) -> None:
    timers.decode_t3412(text)
    timers.decode_t3324(text)
    timers.decode_edrx(text)
    timers.ptw_ms(text)


def test_every_code_is_the_same_on_the_vm(micropython: list[str]) -> None:
    script = (
        "from node.link import timers as t\n"
        "codes = ['{:08b}'.format(n) for n in range(256)]\n"
        "print([t.decode_t3412(c) for c in codes] + [t.decode_t3324(c) for c in codes])\n"
        "print([t.encode_t3412(s) for s in range(0, 35712000, 99991)]\n"
        "    + [t.encode_t3324(s) for s in range(0, 11160, 97)])\n"
    )
    out = subprocess.run(
        [*micropython, "-c", script],
        cwd=FIRMWARE,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    ).stdout.splitlines()
    codes = [f"{n:08b}" for n in range(256)]
    decoded = [timers.decode_t3412(c) for c in codes] + [timers.decode_t3324(c) for c in codes]
    assert out[0] == str(decoded)
    encoded = [timers.encode_t3412(s) for s in range(0, 35_712_000, 99_991)]
    encoded += [timers.encode_t3324(s) for s in range(0, 11_160, 97)]
    assert out[1] == str(encoded)
