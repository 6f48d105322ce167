"""A register in NVS, field by field: what one life wrote is what the next one reads."""

from typing import Any

import pytest
from node.store.register import Register

BIG = 1 << 32  # litres: what the lower bits of a register hold, and one more


class Counter:
    """Pulses of a wheel; `mark` is that of its start."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]
        self.mark: int | None = None
        self.fit = True
        self.stands = 0x21
        self.starts: list[tuple[int, int]] = []

    def alive(self, mark: int) -> bool:
        return mark == self.mark

    def fits(self) -> bool:
        return self.fit

    def read(self) -> list[int]:
        return [count & 0xFFFF for count in self.counts]

    def place(self) -> int:
        return self.stands

    def start(self, mark: int, place: int) -> None:
        self.mark, self.counts = mark, [0, 0, 0]
        self.starts.append((mark, place))
        self.fit = True


@pytest.fixture
def counter() -> Counter:
    return Counter()


def totals(register: Any) -> tuple[int, int]:
    return register.litres(), register.backwards()


def test_each_of_its_numbers_outlives_a_boot(counter: Counter) -> None:
    register: Any = Register(10, counter)
    register._total = [5 * BIG + 7, 3 * BIG + 9]
    register.freeze(0x12345678, 0x9ABCDEF0)
    again: Any = Register(10, counter)
    assert totals(again) == (5 * BIG + 7, 3 * BIG + 9)
    assert (again.slot, again.sequence) == (0x12345678, 0x9ABCDEF0)
    assert again.frozen() == 5 * BIG + 7
    assert not again.gap
    assert not again.resumed


def test_what_was_counted_since_is_added_once(counter: Counter) -> None:
    register: Any = Register(10, counter)
    counter.counts = [7, 2, 1]
    assert totals(register) == (70, 20)
    assert register.frozen() == 0
    again: Any = Register(10, counter)
    assert totals(again) == (70, 20)
    again.commit()
    assert again.frozen() == 70
    counter.counts = [8, 2, 1]
    assert totals(again) == (80, 20)
    assert totals(Register(10, counter)) == (80, 20)


def test_a_counter_that_goes_round_is_read_on(counter: Counter) -> None:
    register: Any = Register(1, counter)
    counter.counts = [0xFFFF, 0xFFFF, 0]
    register.commit()
    counter.counts = [0x10002, 0x10001, 0]
    assert totals(register) == (0x10002, 0x10001)


def test_the_start_of_a_new_meter_is_no_gap(counter: Counter) -> None:
    register: Any = Register(10, counter)
    assert counter.starts == [(1, -1)]
    assert not register.gap


def test_a_counter_that_died_unwarned_leaves_a_gap_that_is_told_once(counter: Counter) -> None:
    register: Any = Register(10, counter)
    counter.counts = [5, 0, 0]
    register.commit()
    counter.mark = None
    again: Any = Register(10, counter)
    assert again.gap
    assert counter.starts[1:] == [(2, 0x21 | 256)], "its contacts are taken as they are"
    assert totals(again) == (50, 0)
    assert Register(10, counter).gap, "until it is told"
    again.told()
    assert not Register(10, counter).gap


def test_one_that_was_warned_leaves_none(counter: Counter) -> None:
    register: Any = Register(10, counter)
    counter.counts = [5, 1, 0]
    register.fail()
    counter.mark = None
    again: Any = Register(10, counter)
    assert not again.gap
    assert counter.starts[1:] == [(2, 0x21)], "a contact that has closed since is a pulse"
    assert totals(again) == (50, 10)


def test_a_supply_that_came_back_before_it_was_gone(counter: Counter) -> None:
    register: Any = Register(10, counter)
    register.fail()
    assert Register(10, counter).resumed
    assert not Register(10, counter).resumed, "it is no more on the point of failing"


def test_other_litres_count_from_now_on(counter: Counter) -> None:
    Register(10, counter)
    counter.counts = [3, 0, 0]
    register: Any = Register(100, counter)
    assert totals(register) == (30, 0)
    counter.counts = [4, 0, 0]
    assert totals(register) == (130, 0)
    assert totals(Register(100, counter)) == (130, 0)


def test_another_way_of_counting_starts_the_counter_anew(counter: Counter) -> None:
    Register(10, counter)
    counter.counts = [3, 0, 0]
    counter.fit = False
    register: Any = Register(10, counter)
    assert counter.starts[1:] == [(2, -1)]
    assert totals(register) == (30, 0)


def test_marks_go_round_without_zero(counter: Counter) -> None:
    register: Any = Register(10, counter)
    register._mark = counter.mark = 0xFFFF
    register.commit()
    counter.mark = None
    Register(10, counter)
    assert counter.starts[-1][0] == 1
