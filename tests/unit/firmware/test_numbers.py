"""The sender sequence step by step: what is kept before a number is given, and what is refused."""

from typing import Any

import pytest
from node.errors import OscoreError
from node.store.numbers import Numbers
from node.store.rtcstate import RtcState
from numbers_rig import Nvs, Rtc

KID = b"\x0a\x0b\x0c"
NAME = "q0a0b0c"
LIMIT = (1 << 31) - 1


class Node:
    """A board's NVS and RTC memory, and what is made anew at each boot."""

    def __init__(self) -> None:
        self.nvs = Nvs()
        self.rtc = Rtc()
        self.boot()

    def boot(self) -> Any:
        self.nvs.reset()
        self.state = RtcState(self.rtc)
        self.state.load()
        self.numbers: Any = Numbers(self.state, self.nvs, KID)
        return self.numbers

    def take(self, count: int) -> list[int]:
        return [self.numbers.next() for _ in range(count)]


def test_numbers_begin_at_0_and_ascend_without_a_gap() -> None:
    node = Node()
    assert node.take(200) == list(range(200))
    assert node.nvs.kept[NAME] == 256


def test_nothing_is_written_before_the_first_number() -> None:
    node = Node()
    node.numbers.settle()
    assert (node.nvs.kept, node.rtc.data) == ({}, b"")


def test_nvs_is_written_once_in_64_numbers() -> None:
    node = Node()
    written = []
    for _ in range(640):
        node.take(1)
        node.numbers.settle()
        written.append(node.nvs.writes)
        node.boot()
    assert written[-1] == 10


def test_a_contact_that_settled_wastes_no_number_over_sleeps() -> None:
    node = Node()
    given = []
    for count in (1, 3, 0, 9, 70, 2):
        given += node.take(count)
        node.numbers.settle()
        node.boot()
    assert given == list(range(85))


def test_a_crash_with_rtc_memory_alive_loses_the_step_only() -> None:
    node = Node()
    assert node.take(3) == [0, 1, 2]
    node.boot()
    assert node.take(1) == [8]
    assert node.nvs.kept[NAME] == 64


def test_a_power_cut_goes_on_from_nvs() -> None:
    node = Node()
    node.take(3)
    node.numbers.settle()
    node.rtc.data = b""
    node.boot()
    assert node.take(1) == [64]
    assert node.nvs.kept[NAME] == 128


def test_corrupt_rtc_memory_counts_as_lost() -> None:
    node = Node()
    node.take(3)
    node.rtc.data = node.rtc.data[:-1] + bytes((node.rtc.data[-1] ^ 4,))
    node.boot()
    assert node.take(1) == [64]


def test_nvs_without_its_number_is_made_good_by_rtc_memory() -> None:
    node = Node()
    node.take(70)
    node.nvs.kept.clear()
    node.boot()
    assert node.take(1) == [72]
    assert node.nvs.kept[NAME] == 136


def test_another_kid_has_its_own_numbers_and_does_not_shorten_these() -> None:
    node = Node()
    other = Numbers(node.state, node.nvs, b"\x01")
    assert node.take(2) == [0, 1]
    assert [other.next(), other.next()] == [0, 1]
    assert node.take(2) == [2, 3]
    node.numbers.settle()  # RTC memory is the other's now
    other.settle()
    node.boot()
    assert node.take(1) == [64]
    assert node.nvs.kept == {NAME: 128, "q01": 64}


def test_two_for_one_kid_never_give_the_same() -> None:
    node = Node()
    first, second = node.numbers, Numbers(node.state, node.nvs, KID)
    given = []
    for n in range(300):
        numbers = first if n % 5 < 3 else second
        given.append(numbers.next())
        if n % 7 == 0:
            numbers.settle()
    assert len(set(given)) == 300


def test_the_last_number_is_given_and_then_the_text_says_what_to_do() -> None:
    node = Node()
    node.nvs.kept[NAME] = LIMIT - 10
    node.boot()
    assert node.take(10) == list(range(LIMIT - 10, LIMIT))
    for _ in range(2):
        with pytest.raises(OscoreError, match="used up: rotate the key"):
            node.numbers.next()
    node.boot()
    with pytest.raises(OscoreError, match="used up"):
        node.numbers.next()


@pytest.mark.parametrize("fault", ["get", "set", "commit"])
def test_nvs_that_fails_gives_an_error_and_never_a_number(fault: str) -> None:
    node = Node()
    node.nvs.fault = fault
    for _ in range(3):
        with pytest.raises(OscoreError, match="NVS"):
            node.numbers.next()
    assert node.rtc.data == b""
    node.nvs.fault = ""
    assert node.take(1)[0] == node.nvs.kept[NAME] - 64


def test_a_step_that_a_commit_refused_is_not_taken_for_kept() -> None:
    node = Node()
    node.take(64)
    node.nvs.fault = "commit"
    with pytest.raises(OscoreError):
        node.numbers.next()
    node.nvs.fault = ""
    given = Numbers(node.state, node.nvs, KID).next()
    node.rtc.data = b""
    node.boot()
    assert node.take(1) > [given]


def test_rtc_memory_that_is_full_gives_an_error_and_never_a_number() -> None:
    node = Node()
    node.state.set("other", bytes(2025))
    for _ in range(2):
        with pytest.raises(OscoreError, match="RTC memory"):
            node.numbers.next()
    assert node.state.get("piv") is None
    node.state.set("other", None)
    assert node.take(1) == [128]  # two steps of NVS were begun
