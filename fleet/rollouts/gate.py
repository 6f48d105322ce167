"""Whether a rollout may go on: pure functions of what was counted. The error check goes first.

A share of few says little, so the share that counts is the lower end of Wilson's interval: what
is surely above the threshold, at every look, stops; what may be chance does not.
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


class Stage(NamedTuple):
    """What the gate looks at. `whole`: it is done only when all have ended, as of the canary;
    `errors` of the group, see RolloutGroup; `pending`: failed ones of it are to be tried again.
    """

    is_canary: bool
    whole: bool
    total: int
    errors: int
    pending: bool
    tally: Tally


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


def judge(plan: Plan, stage: Stage, ripe: Sequence[Cohorts]) -> tuple[Verdict, str]:
    """The verdict, and of STOP and HOLD why, as the key of a text. `ripe`: of the whole rollout,
    and of what was offered since the group opened, so that neither hides the other.
    """
    limit = plan.errors / 1000
    ended = max(stage.tally.ended, stage.errors)
    if stage.is_canary and stage.errors >= plan.trips:
        return Verdict.STOP, "trip"
    if ended >= plan.sample and surely(stage.errors, ended) > limit:
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


def _is_done(plan: Plan, stage: Stage) -> bool:
    tally = stage.tally
    if not tally.scheduled and not tally.open and not stage.pending:
        return True
    total = stage.total - tally.neutral
    if stage.whole or total <= 0:
        return False
    return tally.ended * 1000 >= total * plan.done
