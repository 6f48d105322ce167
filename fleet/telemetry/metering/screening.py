"""Which readings of a register count: pure. What goes back counts for nothing, as in the ledger;
what is far over the use of the time is held until somebody says that it is so.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from fleet.migration.scaling import Meaning, Read, Walked, advance, scaled, step_of
from fleet.telemetry.metering.days import DAY_US


class Limit(NamedTuple):
    """More than `per_day` within any day is held, in the register's scale; but nothing until
    `since_us`: that is billed. `accepted`: readings that somebody vouched for.
    """

    per_day: int
    since_us: int
    accepted: Collection[Read] = frozenset()


class Screened(NamedTuple):
    """States of the counter, the start included; what was held, and what went back."""

    states: list[Walked]
    held: list[Read]
    back: list[Read]


def screen(
    start: Walked, reads: Sequence[Read], meaning: Meaning, register: int, limit: Limit | None
) -> Screened:
    """Go along readings in the order of their times; `limit` None: nothing is held."""
    states, held, back = [start], [], []
    step = step_of(meaning, register)
    for read in reads:
        last = states[-1]
        if read.at_us <= last.at_us:
            continue
        counts = advance(last.raw, read.raw, meaning.modulus)
        if counts is None or (meaning.modulus is not None and read.raw >= meaning.modulus):
            back.append(read)
            continue
        if limit is not None and read.at_us > limit.since_us and read not in limit.accepted:
            days = (read.at_us - last.at_us) // DAY_US + 1
            if scaled(counts, meaning, register) > limit.per_day * days + step:
                held.append(read)
                continue
        states.append(Walked(last.total + counts, read.at_us, read.raw))
    return Screened(states, held, back)


def disproved(held: Sequence[Read], states: Sequence[Walked]) -> list[Read]:
    """Held readings behind which the counter was seen to show less: they were never so."""
    if not states:
        return []
    last = states[-1]
    return [read for read in held if read.at_us < last.at_us and last.raw < read.raw]
