"""How many offers may go out now: a rate that grows with success, and no more in flight than what
has proved to go well allows. Pure functions.
"""

from typing import NamedTuple

from fleet.rollouts.plan import Plan

MINUTE_US = 60 * 1_000_000


class Budget(NamedTuple):
    """Offers that may go out, in thousandths, as of a time in us."""

    thousandths: int
    at_us: int


def rate(plan: Plan, good: int) -> int:
    """Offers a minute, once `good` updates have succeeded."""
    found = plan.per_minute * 10
    for _ in range(good // plan.every):
        found = found * plan.factor // 10
        if found >= plan.most_per_minute * 10 or plan.factor == 10:
            break
    return min(plan.most_per_minute, found // 10)


def grown(budget: Budget, plan: Plan, good: int, now_us: int) -> Budget:
    """What has come together since; never more than a minute's offers."""
    per_minute = rate(plan, good)
    passed = min(max(0, now_us - budget.at_us), MINUTE_US)
    return Budget(
        min(per_minute * 1000, budget.thousandths + per_minute * 1000 * passed // MINUTE_US),
        now_us,
    )


def room(plan: Plan, proved: int, flying: int) -> int:
    """How many more may be in flight: the canary's size and as many as have gone well of those
    that were offered so long ago that a failure would be known.

    So the worst that a bad release can do grows only behind what a good one has shown. Success
    is known within a day, a loss after some: all that went well would double the offers
    several times before the first loss is seen.
    """
    return max(0, plan.canary + proved - flying)
