"""Which readings of a register count: pure. What goes back counts for nothing, as in the ledger;
what is far over the use of the time is held until somebody says that it is so.
"""

from collections.abc import Collection, Sequence
from itertools import islice
from typing import NamedTuple

from fleet.migration.scaling import (
    SURE,
    Meaning,
    Read,
    Walked,
    advance,
    goes_on,
    scaled,
    step_of,
)
from fleet.telemetry.metering.days import DAY_US


class Limit(NamedTuple):
    """More than `per_day` within any day is held, in the register's scale. Until `known_us` it is
    known what was counted, since a bill rests on it: there only more than `known_total` is held.
    `accepted`: readings that somebody vouched for.
    """

    per_day: int
    known_us: int
    known_total: int
    accepted: Collection[Read] = frozenset()


class Screened(NamedTuple):
    """States of the counter, the start included; what was held, and what went back."""

    states: list[Walked]
    held: list[Read]
    back: list[Read]


def screen(
    start: Walked, reads: Sequence[Read], meaning: Meaning, register: int, limit: Limit
) -> Screened:
    """Go along readings in the order of their times. A turn of the counter that adds more
    than little waits for a reading that goes on from it.
    """
    states, held, back = [start], [], []
    step = step_of(meaning, register)
    for place, read in enumerate(reads):
        last = states[-1]
        if read.at_us <= last.at_us:
            continue
        counts = advance(last.raw, read.raw, meaning.modulus)
        if counts is None or (meaning.modulus is not None and read.raw >= meaning.modulus):
            back.append(read)
            continue
        total = last.total + counts
        if read.at_us <= limit.known_us:
            is_over = total > limit.known_total
        else:
            days = (read.at_us - last.at_us) // DAY_US + 1
            is_over = scaled(counts, meaning, register) > limit.per_day * days + step
            later = islice(reads, place + 1, None)
            is_little = scaled(counts, meaning, register) <= limit.per_day * days // SURE + step
            turned = meaning.modulus is not None and read.raw < last.raw and not is_little
            if turned and not (
                is_over or read in limit.accepted or goes_on(read, later, meaning.modulus or 0)
            ):
                continue
        if is_over and read not in limit.accepted:
            held.append(read)
        else:
            states.append(Walked(total, read.at_us, read.raw))
    return Screened(states, held, back)


def disproved(held: Sequence[Read], states: Sequence[Walked]) -> list[Read]:
    """Held readings behind which the counter was seen to show less: they were never so."""
    if not states:
        return []
    last = states[-1]
    return [read for read in held if read.at_us < last.at_us and last.raw < read.raw]
