"""Whether a level can be believed, and how fast it rises. Pure.

The rule is in docs/architecture.md, "What a level is worth". No value is ever dropped: this says
only which flags go with it.
"""

from micropython import const

OUTLIER, STUCK, RANGE = const(1), const(2), const(4)  # of quantity 55, level_flags

_HOUR = const(3600)
_REACH_S = const(21_600)  # what a level may have done in a longer silence, nobody knows
# Where things are in `memory`, a list of integers that outlives deep sleep. Two levels that the
# rise is measured from, the last one that was believed, the newest that was not, with how many
# agreed in a row and the rise when it began, when the level last moved, and how often it was out
# of range in a row.
_OLD, _MID, _GOOD, _ODD = const(0), const(2), const(4), const(6)
_AGREED, _ODD_RISE, _MOVED, _FAULTS = const(8), const(9), const(10), const(12)
_SIZE = const(13)


class Limits:
    """What is plausible here; 0 switches a test off."""

    def __init__(
        self,
        jump_mm_h: int,
        samples: int,
        noise_mm: int,
        window_s: int,
        stuck_s: int,
        still_mm: int,
    ) -> None:
        self.jump_mm_h = jump_mm_h  # nothing rises or falls faster
        self.samples = samples  # unless so many in a row agree with each other
        self.noise_mm = noise_mm  # what a still surface differs by
        self.window_s = window_s  # a rise counts over at least so long
        self.stuck_s = stuck_s  # a level that does not move for so long is stuck
        self.still_mm = still_mm  # by more than this


def judge(memory: "list[int]", now: int, level: int, valid: bool, limits: Limits) -> "tuple":  # type: ignore[type-arg]
    """(flags, rise): the flags of `level` in mm at `now`; the rise in mm/h, None while it is not
    to be believed. `memory` is empty at first. `valid`: the sensor's signal is within its range.
    """
    if not memory:
        memory.extend((0,) * _SIZE)
    if not valid:
        memory[_FAULTS] += 1
        return RANGE, None
    memory[_FAULTS] = 0
    if not memory[_GOOD]:
        memory[:_SIZE] = [now, level] * 3 + [0, 0, 0, 0, now, level, 0]
        return 0, 0
    flags = _stuck(memory, now, level, limits)
    if _near(level, memory, _GOOD, now, limits):
        rise = _rise(memory, now, level, limits)
    else:
        agreed = memory[_AGREED]
        if not agreed or not _near(level, memory, _ODD, now, limits):
            agreed = 0
            memory[_ODD_RISE] = _rise(memory, now, level, limits)
        memory[_ODD], memory[_ODD + 1], memory[_AGREED] = now, level, agreed + 1
        if agreed + 1 < limits.samples:
            return flags | OUTLIER, None
        # It jumped indeed: as fast as it did when it was first seen there.
        rise = max(_rise(memory, now, level, limits), memory[_ODD_RISE])
    memory[_AGREED] = 0
    memory[_GOOD], memory[_GOOD + 1] = now, level
    if now - memory[_MID] >= limits.window_s:
        memory[_OLD], memory[_OLD + 1] = memory[_MID], memory[_MID + 1]
        memory[_MID], memory[_MID + 1] = now, level
    return flags, rise


def doubtful(memory: "list[int]") -> bool:
    """Whether the newest level waits for others that agree with it."""
    return bool(memory) and memory[_AGREED] > 0


def faults(memory: "list[int]") -> int:
    """How many levels in a row were out of range."""
    return memory[_FAULTS] if memory else 0


def _near(level: int, memory: "list[int]", at: int, now: int, limits: Limits) -> bool:
    if not limits.jump_mm_h:
        return True
    passed = min(max(now - memory[at], 0), _REACH_S)
    return abs(level - memory[at + 1]) <= max(limits.jump_mm_h * passed // _HOUR, limits.noise_mm)


def _rise(memory: "list[int]", now: int, level: int, limits: Limits) -> int:
    # From the one that is old enough, or faster already from the younger one: over less than the
    # window neither counts for more than over all of it.
    window = limits.window_s
    if now - memory[_MID] >= window:
        return (level - memory[_MID + 1]) * _HOUR // (now - memory[_MID])
    rise = (level - memory[_MID + 1]) * _HOUR // window
    return max(rise, (level - memory[_OLD + 1]) * _HOUR // max(now - memory[_OLD], window))


def _stuck(memory: "list[int]", now: int, level: int, limits: Limits) -> int:
    if abs(level - memory[_MOVED + 1]) > limits.still_mm:
        memory[_MOVED], memory[_MOVED + 1] = now, level
    elif limits.stuck_s and now - memory[_MOVED] >= limits.stuck_s and level > limits.noise_mm:
        return STUCK  # an empty channel may stay as it is
    return 0
