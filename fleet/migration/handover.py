"""Where one terminal's register ends and another's goes on: pure rules over their readings.

The best moment is the last one at which both showed a value (common). Else the two dials that a
visit saw at once tell how the one continues the other (dials), at whatever moment the old one was
last heard. A person may type both dials as they are now (typed).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from fleet.migration.breaches import LedgerError
from fleet.migration.ledger import Closing, Opening, Standing, counted, meaning_of
from fleet.migration.policy import DAY_S, US
from fleet.migration.scaling import (
    Meaning,
    Read,
    Walked,
    advance,
    check_raw,
    scaled,
    step_of,
    steps,
    walk,
)

COMMON: Final = "common"
DIALS: Final = "dials"
TYPED: Final = "typed"
NONE: Final = "none"  # the first segment, and the end of a retired register


class Anchor(NamedTuple):
    """A terminal showed `raw` at a true time, when the asset's index was `at_index`."""

    at_us: int
    raw: int
    at_index: int


class Candidate(NamedTuple):
    """The terminal that is to go on, how it is read, what ties it to the asset, its readings
    since that anchor.
    """

    terminal_id: str
    meaning: Meaning
    anchor: Anchor
    reads: Sequence[Read]


class Typed(NamedTuple):
    """Both dials as a person read them at one time: raw values; None: there was none to read."""

    at_us: int
    old_raw: int | None
    new_raw: int | None


class Handover(NamedTuple):
    """How the segment ends, and how the next begins; None where nothing goes on."""

    closing: Closing
    opening: Opening | None


def hand_over(
    old: Standing, old_reads: Sequence[Read], new: Candidate, kind: str, now_us: int
) -> Handover:
    """By what both terminals told; LedgerError where nothing ties them together."""
    segment = old.segment
    if segment.to_us is not None:
        return _reopen(old, new, kind)
    of_old = [
        state
        for state in steps(old.start(), old_reads, segment.modulus, old.most(meaning_of(segment)))
        if state.at_us <= now_us
    ]
    start = Walked(0, new.anchor.at_us, new.anchor.raw)
    followed = steps(start, new.reads, new.meaning.modulus, old.most(new.meaning))
    of_new = {state.at_us: state for state in followed}
    for state in reversed(of_old):
        both = of_new.get(state.at_us)
        if both is not None and state.at_us >= old.boundary_us:
            index = old.reached(state)
            return Handover(
                Closing(state.at_us, index, state),
                Opening(
                    new.terminal_id, kind, COMMON, new.meaning, both.at_us, both.raw,
                    counted(segment, state.total),
                ),
            )  # fmt: skip
    last = of_old[-1]
    at_us = max(last.at_us, old.boundary_us, new.anchor.at_us)
    if at_us > now_us:
        raise LedgerError(
            f"{new.terminal_id} was tied to the asset at a time to come: is the clock right?"
        )
    index = old.reached(last)
    return Handover(
        Closing(at_us, index, last),
        Opening(
            new.terminal_id, kind, DIALS, new.meaning, new.anchor.at_us, new.anchor.raw,
            new.anchor.at_index,
        ),
    )  # fmt: skip


def by_dials(
    old: Standing, old_reads: Sequence[Read], typed: Typed, kind: str, most_per_day: int,
    new: tuple[str, Meaning] | None,
) -> Handover:  # fmt: skip
    """By the dials as somebody read them; `new` None: nothing goes on, the register is retired."""
    segment = old.segment
    if segment.to_us is not None:
        raise LedgerError(f"asset id:{segment.asset_id} is retired: nothing of it is billed")
    state = checked(old, old_reads, typed, most_per_day)
    index = old.reached(state)
    # A visit that is told late: what is billed meanwhile stays, the new one goes on behind it.
    closing = Closing(max(typed.at_us, old.boundary_us), index, state)
    if new is None:
        return Handover(closing, None)
    terminal_id, meaning = new
    if typed.new_raw is None:
        raise LedgerError(f"what does the dial of {terminal_id} show? --initial N")
    raw = check_raw(typed.new_raw, meaning)
    base = counted(segment, state.total)
    return Handover(closing, Opening(terminal_id, kind, TYPED, meaning, typed.at_us, raw, base))


def checked(old: Standing, old_reads: Sequence[Read], typed: Typed, most_per_day: int) -> Walked:
    """The billed counter at a typed dial; LedgerError for one that its readings contradict."""
    segment = old.segment
    meaning = meaning_of(segment)
    if typed.at_us < old.start().at_us:
        raise LedgerError(
            f"{segment.terminal_id} reported later than these dials were read: is the clock right?"
        )
    before = [read for read in old_reads if read.at_us <= typed.at_us]
    last = walk(old.start(), before, segment.modulus, old.most(meaning))
    if typed.old_raw is None:
        return last
    raw = check_raw(typed.old_raw, meaning)
    if typed.at_us == last.at_us and raw != last.raw:
        raise LedgerError(
            f"final index {raw} of {segment.terminal_id}: at that moment it showed {last.raw}"
        )
    fresh = advance(last.raw, raw, segment.modulus)
    if fresh is None:
        raise LedgerError(
            f"final index {raw} of {segment.terminal_id}: it reported {last.raw} before: read the "
            "dial again"
        )
    used = scaled(fresh, meaning, segment.register)
    days = (typed.at_us - last.at_us) // (DAY_S * US) + 1
    if used > most_per_day * days + step_of(meaning, segment.register):
        raise LedgerError(
            f"final index {raw} of {segment.terminal_id}: {used} more than it reported, in "
            f"{days} day(s): read the dial again"
        )
    return Walked(last.total + fresh, max(typed.at_us, last.at_us), raw, last.gap_us, last.back)


def _reopen(old: Standing, new: Candidate, kind: str) -> Handover:
    """A retired register goes on where it ended."""
    segment = old.segment
    state = Walked(segment.total or 0, segment.last_us or 0, segment.last_raw or 0)
    return Handover(
        Closing(segment.to_us or 0, segment.end_index or 0, state),
        Opening(
            new.terminal_id, kind, DIALS, new.meaning, new.anchor.at_us, new.anchor.raw,
            new.anchor.at_index,
        ),
    )  # fmt: skip
