"""What the rule for levels (docs/architecture.md) says of a trace, and how it explains each jump.

Written from the page, not from the firmware: the two must agree.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

OUTLIER, STUCK = 1, 2
JUMP_MM_H = 500  # what must be explained
REACH_S = 6 * 3600
# The configuration of a trace's node: hourly rows cannot be looked at again after a minute, so two
# that agree are believed. The ADC rounds each level by up to 4 mm: no jump escapes by that.
TRACE = {"jump_mm_h": 490, "jump_samples": 2, "noise_mm": 20, "stuck_s": 43_200, "still_mm": 3}


class Level(NamedTuple):
    """As the database has it; `flags` is 0 where the level has none."""

    time_s: int
    mm: int
    flags: int


def expected(levels: Iterable[tuple[int, int]], rule: dict[str, int] = TRACE) -> list[int]:
    """The flags of each (s, mm)."""
    believed: tuple[int, int] | None = None
    odd: list[tuple[int, int]] = []  # those in a row that agree with each other, and with no past
    moved: tuple[int, int] | None = None
    found = []

    def near(level: tuple[int, int], to: tuple[int, int]) -> bool:
        passed = min(level[0] - to[0], REACH_S)
        may = max(rule["jump_mm_h"] * passed // 3600, rule["noise_mm"])
        return abs(level[1] - to[1]) <= may

    for level in levels:
        flags = 0
        if moved is None or abs(level[1] - moved[1]) > rule["still_mm"]:
            moved = level
        elif level[0] - moved[0] >= rule["stuck_s"] and level[1] > rule["noise_mm"]:
            flags |= STUCK
        if believed is None or near(level, believed):
            believed, odd = level, []
        else:
            odd = [*odd, level] if odd and near(level, odd[-1]) else [level]
            if len(odd) < rule["jump_samples"]:
                flags |= OUTLIER
            else:
                believed, odd = level, []
        found.append(flags)
    return found


class Jumps(NamedTuple):
    """Neighbours that differ by more than JUMP_MM_H, by what the rule did about the second one."""

    flagged: int = 0
    alarmed: int = 0
    back: int = 0  # from one that was flagged
    unexplained: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def jumps(levels: list[Level], alarmed: Iterable[tuple[int, int]]) -> Jumps:
    """How each jump is explained. `alarmed`: (s, 1 began or 0 ended) of level_rise."""
    began = {at for at, value in alarmed if value}
    counts = [0, 0, 0, 0]
    for before, after in pairwise(levels):
        if abs(after.mm - before.mm) * 3600 <= JUMP_MM_H * (after.time_s - before.time_s):
            continue
        if after.flags & OUTLIER:
            counts[0] += 1
        elif after.time_s in began:
            counts[1] += 1
        elif before.flags & OUTLIER:
            counts[2] += 1
        else:
            counts[3] += 1
    return Jumps(*counts)
