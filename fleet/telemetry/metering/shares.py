"""What of a bill is of which period: pure. The rows of an export add up to its bill lines.

A bill line is what was billed, and stays. Where it rested on an estimate and more is known later,
the next export says so: its usage is counted between what is known now, a correction says for each
earlier period what it turned out to have used more or less, and what was billed too high, and
waits for the register to come by, is carried.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from fleet.telemetry.metering.errors import MeteringError

USAGE: Final = "usage"
CORRECTION: Final = "correction"
CARRIED: Final = "carried"


class Period(NamedTuple):
    """A bill line: billed indices, and those that are known now."""

    line_id: int
    billed_from: int
    billed_to: int
    known_from: int
    known_to: int


class Share(NamedTuple):
    """A row: `used` of the period of a line, and the indices that it is of."""

    line_id: int
    kind: str
    from_index: int
    to_index: int
    used: int


def share(
    earlier: Sequence[Period], told: Mapping[int, int], carried: int, fresh: Sequence[Period]
) -> list[Share]:
    """The rows of an asset's register: `fresh`, its lines that were not exported yet, in their
    order; `earlier`, those that were and may be known better now; `told`, what all exports said
    of each of them; `carried`, what of the bill they said is ahead.
    """
    found = []
    for period in earlier:
        known = period.known_to - period.known_from
        if known != told[period.line_id]:
            found.append(
                Share(
                    period.line_id, CORRECTION, period.known_from, period.known_to,
                    known - told[period.line_id],
                )
            )  # fmt: skip
    for period in fresh:
        known = period.known_to - period.known_from
        found.append(Share(period.line_id, USAGE, period.known_from, period.known_to, known))
    last = fresh[-1]
    ahead = last.billed_to - last.known_to
    if ahead != carried:
        found.append(Share(last.line_id, CARRIED, last.known_to, last.billed_to, ahead - carried))
    billed = last.billed_to - fresh[0].billed_from
    if sum(one.used for one in found) != billed:
        raise MeteringError(
            f"bill line {last.line_id}: {billed} is billed, its rows say "
            f"{sum(one.used for one in found)}"
        )
    return found
