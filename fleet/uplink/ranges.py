"""Sets of sequence numbers as inclusive ranges, ascending and apart: each set has one form."""

from bisect import bisect_right
from collections.abc import Iterable

Ranges = list[tuple[int, int]]


def contains(ranges: Ranges, number: int) -> bool:
    """Whether `number` is in one of `ranges`."""
    i = bisect_right(ranges, (number, 1 << 63)) - 1
    return i >= 0 and number <= ranges[i][1]


def from_numbers(numbers: Iterable[int]) -> Ranges:
    """The ranges of some numbers, in any order, repeats allowed."""
    result: Ranges = []
    for number in sorted(numbers):
        if result and number <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(number, result[-1][1]))
        else:
            result.append((number, number))
    return result


def union(one: Ranges, other: Ranges) -> Ranges:
    """All that is in either."""
    result: Ranges = []
    for first, last in sorted(one + other):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def bounded(ranges: Ranges, most: int) -> Ranges:
    """At most `most` ranges: the lowest ones become one, the gaps between them count as filled."""
    extra = len(ranges) - most
    if extra <= 0:
        return ranges
    return [(ranges[0][0], ranges[extra][1]), *ranges[extra + 1 :]]


def flatten(ranges: Ranges) -> list[int]:
    """[first, last, first, last, ...]."""
    return [number for pair in ranges for number in pair]


def pairs(flat: list[int]) -> Ranges:
    """The inverse of `flatten`."""
    return list(zip(flat[::2], flat[1::2], strict=True))
