"""What a register stood at, at the end of each day: read, or estimated, how and why. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fleet.telemetry.metering.days import DAY_US, end_us
from fleet.telemetry.metering.points import Point
from fleet.telemetry.metering.tables import ESTIMATED, GOOD

# How.
READ: Final = "read"  # a reading of that day
BETWEEN: Final = "between"  # on the line between the readings around it
AVERAGE: Final = "average"  # nothing came since: the last reading, and the typical use
STANDS: Final = "stands"  # nothing came since, and nothing is typical: the last reading
# Why not by a reading.
MISSING: Final = "missing"
SPIKE: Final = "spike"
NEGATIVE: Final = "negative"
CLOCK: Final = "clock"

LEAST_DAYS: Final = 3  # of which something is typical


class Typical(NamedTuple):
    """`used` in `over_us`: what an asset uses as a rule."""

    used: int
    over_us: int

    def per_day(self) -> int:
        return self.used * DAY_US // self.over_us


class Estimate(NamedTuple):
    """A day's read; of a good one `reason` is empty and `at_index` the point's."""

    day: int
    at_index: int
    method: str
    reason: str
    point: Point

    @property
    def quality(self) -> int:
        return GOOD if self.method == READ else ESTIMATED


def usual(points: Sequence[Point]) -> Typical | None:
    """What was used along these points, of a register that was never read before; None: it was
    heard for too short a time.
    """
    first, last = points[0], points[-1]
    if last.at_us - first.at_us < LEAST_DAYS * DAY_US:
        return None
    return Typical(last.at_index - first.at_index, last.at_us - first.at_us)


def estimate(
    points: Sequence[Point], days: Sequence[int], typical: Typical | None, most_days: int,
    why: Mapping[int, str],
) -> list[Estimate]:  # fmt: skip
    """Of each of these days, which ascend. `why`: of a day whose readings do not count."""
    found = []
    place = 0
    for day in days:
        at_us = end_us(day)
        while place + 1 < len(points) and points[place + 1].at_us <= at_us:
            place += 1
        last = points[place]
        if last.at_us > at_us - DAY_US:
            found.append(Estimate(day, last.at_index, READ, "", last))
            continue
        reason = why.get(day, MISSING)
        if place + 1 < len(points):
            following = points[place + 1]
            passed, whole = at_us - last.at_us, following.at_us - last.at_us
            index = last.at_index + (following.at_index - last.at_index) * passed // whole
            found.append(Estimate(day, index, BETWEEN, reason, last))
        elif typical is not None:
            passed = min(at_us - last.at_us, most_days * DAY_US)
            index = last.at_index + typical.used * passed // typical.over_us
            found.append(Estimate(day, index, AVERAGE, reason, last))
        else:
            found.append(Estimate(day, last.at_index, STANDS, reason, last))
    return found
