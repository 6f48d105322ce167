"""Angles in integers against the same in floats."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.sense import angle

AXIS = st.integers(-2048, 2047)
VECTOR = st.tuples(AXIS, AXIS, AXIS)


@given(st.integers(0, 1 << 70))
def test_a_root_is_the_whole_part(n: int) -> None:
    assert angle.root(n) == math.isqrt(n)


@given(VECTOR, VECTOR)
def test_an_angle_is_within_a_tenth_of_a_degree(
    a: tuple[int, int, int], b: tuple[int, int, int]
) -> None:
    along = sum(x * y for x, y in zip(a, b, strict=True))
    lengths = math.hypot(*a) * math.hypot(*b)
    if not lengths:
        assert angle.between(a, b) == 0
        return
    across = math.sqrt(max(lengths * lengths - along * along, 0))
    # Of very short vectors the cross product itself is rounded down to whole units.
    slack = 1 + math.degrees(1 / max(lengths, 1)) * 10
    assert abs(angle.between(a, b) - math.degrees(math.atan2(across, along)) * 10) <= slack


@pytest.mark.parametrize(
    ("other", "tenths"),
    [
        ((0, 0, 1000), 0), ((0, 0, 500), 0), ((0, 1000, 0), 900), ((0, 0, -1000), 1800),
        ((707, 0, 707), 450), ((87, 0, 996), 50), ((17, 0, 1000), 10), ((-17, 0, 1000), 10),
    ],
)  # fmt: skip
def test_known_angles_from_upright(other: tuple[int, int, int], tenths: int) -> None:
    assert angle.between((0, 0, 1000), other) == tenths
