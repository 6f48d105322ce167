"""Ranges of sequence numbers behave as sets, and each set has one form."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.uplink import ranges
from fleet.uplink.ranges import Ranges

near = st.sets(st.integers(1, 40))
far = st.sets(st.integers(1, 0xFFFFFFFF), max_size=20)
numbers = near | far


def members(of: Ranges) -> set[int]:
    """The set that some ranges stand for."""
    return {n for first, last in of for n in range(first, last + 1)}


@given(numbers)
def test_ranges_of_a_set_hold_that_set_in_its_one_form(wanted: set[int]) -> None:
    found = ranges.from_numbers(wanted)
    assert members(found) == wanted
    assert all(first <= last for first, last in found)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(found))


@given(st.lists(st.integers(1, 40)))
def test_neither_order_nor_repeats_matter(given_numbers: list[int]) -> None:
    assert ranges.from_numbers(given_numbers) == ranges.from_numbers(set(given_numbers))


@given(numbers, numbers)
def test_union_is_that_of_sets(one: set[int], other: set[int]) -> None:
    a, b = ranges.from_numbers(one), ranges.from_numbers(other)
    assert ranges.union(a, b) == ranges.from_numbers(one | other)
    assert (a, b) == (ranges.from_numbers(one), ranges.from_numbers(other)), "inputs changed"


@given(near, st.integers(0, 42))
def test_contains_is_that_of_sets(wanted: set[int], number: int) -> None:
    assert ranges.contains(ranges.from_numbers(wanted), number) == (number in wanted)


def test_the_ends_of_a_range_and_of_the_numbers_are_inside() -> None:
    wide = [(1, 3), (0xFFFFFFFE, 0xFFFFFFFF)]
    for inside in (1, 2, 3, 0xFFFFFFFE, 0xFFFFFFFF):
        assert ranges.contains(wide, inside)
    for outside in (0, 4, 0xFFFFFFFD, 0x100000000):
        assert not ranges.contains(wide, outside)


@given(numbers)
def test_flattened_and_back_is_the_same(wanted: set[int]) -> None:
    found = ranges.from_numbers(wanted)
    assert ranges.pairs(ranges.flatten(found)) == found


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ranges.pairs([1, 2, 3])
