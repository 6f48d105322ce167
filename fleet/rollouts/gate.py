"""Whether a rollout may go on: pure functions of what was counted. The error check goes first.

A share of few says little, so the share that counts is the lower end of Wilson's interval: what
is surely above the threshold, at every look, stops; what may be chance does not. Where so few
are concerned that the sample is never reached, most of them failing is enough.
"""

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from fleet.rollouts.counting import Tally
from fleet.rollouts.plan import Plan

# Standard deviations. It is asked at each tick, over and over: with 4 a release that fails half
# as often as is allowed was stopped in none of 300 runs (make bench-rollouts).
Z = 4.0
# To hold costs time alone, and ends when those that are silent are known: less is asked for it.
HOLD_Z = 2.0
_FEW = 3  # errors that are no chance, where most of those that ended are such


class Verdict(Enum):
    """Of the open group."""

    STOP = "stop"
    HOLD = "hold"  # no more offers until more is known
    WAIT = "wait"  # offers go on, the group is not done
    NEXT = "next"  # it is done


class Cohorts(NamedTuple):
    """Of the offers that were made so long ago that they should have ended."""

    offered: int
    good: int
    bad: int


class Sum(NamedTuple):
    """Of some groups: the errors, see RolloutGroup; whose end counts; those and all in flight."""

    errors: int
    ended: int
    offered: int


class Stage(NamedTuple):
    """The open group. `is_last`: the rollout ends with it; `is_left`: failed ones are to be tried
    again, or, of the last, anything of the whole rollout is left; `is_stuck`: all that is left
    waits for something that may never come, a better signal say.
    """

    is_canary: bool
    is_last: bool
    total: int
    errors: int
    is_left: bool
    is_stuck: bool
    tally: Tally

    @property
    def counts(self) -> int:
        """How many nodes it has of whom an end can be expected."""
        return self.total - self.tally.neutral


def surely(bad: int, of: int, z: float = Z) -> float:
    """The least share of failures that `bad` of `of` can well be by chance: Wilson's lower end,
    `z` standard deviations away.
    """
    if of <= 0 or bad <= 0:
        return 0.0
    share, z2 = bad / of, z * z
    middle = share + z2 / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (middle - half) / (1 + z2 / of))


def judge(
    plan: Plan, stage: Stage, sums: Sequence[Sum], ripe: Sequence[Cohorts]
) -> tuple[Verdict, str]:
    """The verdict, and of STOP and HOLD why, as the key of a text. `sums`: of the open group, of
    it and the one before, and so on; `ripe`: of the whole rollout, and of what was offered since
    the group opened; so that none hides the other.
    """
    limit = plan.errors / 1000
    if stage.is_canary and stage.errors >= trips(plan, stage.counts):
        return Verdict.STOP, "trip"
    if any(_too_many(plan, each) for each in sums):
        return Verdict.STOP, "errors"
    for each in ripe:
        if each.offered >= plan.sample and surely(each.bad, each.offered) > limit:
            return Verdict.STOP, "errors"
    if _is_done(plan, stage):
        return Verdict.NEXT, ""
    for each in ripe:
        missing = each.offered - each.good
        is_silent = missing > each.bad and each.offered >= plan.sample
        if is_silent and surely(missing, each.offered, HOLD_Z) > limit:
            return Verdict.HOLD, "silent"
    return Verdict.WAIT, ""


def trips(plan: Plan, nodes: int) -> int:
    """How many errors of a canary of so many nodes stop the rollout: the plan's, but no more than
    there are; else a tenth, three at least, where that is not over a half.
    """
    found = plan.trip or min(max(_FEW, nodes // 10), (nodes + 1) // 2)
    return max(1, min(found, nodes))


def _too_many(plan: Plan, what: Sum) -> bool:
    limit = plan.errors / 1000
    if what.ended >= plan.sample:
        return surely(what.errors, what.ended) > limit
    # Failures are told sooner than successes: those in flight may all be well.
    most = what.errors >= _FEW and 2 * what.errors > what.ended
    return most and surely(what.errors, what.offered) > limit


def _is_done(plan: Plan, stage: Stage) -> bool:
    tally = stage.tally
    if not tally.scheduled and not tally.open and not stage.is_left:
        return True
    if stage.is_last or stage.counts <= 0:
        return False
    if stage.is_canary:  # half of it is the least that shows anything
        return stage.is_stuck and 2 * tally.ended >= stage.counts
    return tally.ended * 1000 >= stage.counts * plan.done
