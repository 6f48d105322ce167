"""What a terminal's raw register means: units, decimals, counters that begin anew. Integers only.

The index is a base and what was counted since, turns of the counter included; a reading that went
back counts for nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from fleet.migration.breaches import LedgerError
from fleet.registry import registers
from fleet.registry.sub_devices import REGISTER
from fleet.wire.quantity import QUANTITIES

# Unit -> (what it measures, its power of ten).
_UNITS = {
    "m3": ("volume", 0), "L": ("volume", -3),
    "Wh": ("energy", 0), "kWh": ("energy", 3), "MWh": ("energy", 6),
}  # fmt: skip
UNITS = tuple(_UNITS)
MOST = (1 << 62) - 1  # of a raw register and of an index: sums stay within 64 bits
SURE = 100  # a turn that adds no more than such a part of what may be is no false 0
_MOST_DECIMALS = 9
_MOST_SHIFT_S = 366 * 86400
_DAY_US = 86_400_000_000


class Meaning(NamedTuple):
    """How a raw register is read: unit / 10**decimals for each count.

    `modulus`: the raw value that is shown as 0 again, None: never. `clock_shift_s` is added to the
    terminal's own times. `step`: by how many counts its dial moves at once.
    """

    unit: str
    decimals: int
    modulus: int | None = None
    clock_shift_s: int = 0
    step: int = 1

    def true_us(self, own_us: int) -> int:
        """The time of a reading that the terminal stamped `own_us`."""
        return own_us + self.clock_shift_s * 1_000_000

    def own_us(self, true_us: int) -> int:
        """What the terminal's clock shows then."""
        return true_us - self.clock_shift_s * 1_000_000


class Read(NamedTuple):
    """A reading of a terminal's register: true time in us, raw value."""

    at_us: int
    raw: int


class Most(NamedTuple):
    """A reading that adds more than `per_day`, in the register's scale, for each day since the
    one before it counts for nothing. `accepted`: readings that somebody vouched for.
    """

    per_day: int
    meaning: Meaning
    register: int
    accepted: Collection[Read] = frozenset()

    def allows(self, counts: int, since_us: int, read: Read, share: int = 1) -> bool:
        """Whether a reading may add so many counts since a time; `share`: of that one part of so
        many.
        """
        days = (read.at_us - since_us) // _DAY_US + 1
        most = self.per_day * days // share + step_of(self.meaning, self.register)
        return scaled(counts, self.meaning, self.register) <= most


class Walked(NamedTuple):
    """Where a counter stands: all counts since its first one, and the reading that said so.

    `gap_us` is the longest time between two readings that counted; `back` how many went back, or
    too far ahead.
    """

    total: int
    at_us: int
    raw: int
    gap_us: int = 0
    back: int = 0


def register_of(kind: str) -> int | None:
    """The quantity that is the billed register of an asset of this kind; None: it has none."""
    return registers.OF_ROLE.get(kind, REGISTER.get(kind))


def quantities_of(register: int) -> tuple[int, ...]:
    """The quantities in which a register is reported."""
    return tuple(sorted(registers.REGISTERS)) if register in registers.REGISTERS else (register,)


def plain(register: int) -> Meaning:
    """As the quantity itself: what a node of ours reports."""
    _name, unit, decimals = QUANTITIES[register]
    return Meaning(unit, decimals)


def check(meaning: Meaning, register: int) -> Meaning:
    """`meaning` if it can be that register's; LedgerError."""
    name, unit, _decimals = QUANTITIES[register]
    if meaning.unit not in _UNITS or _UNITS[meaning.unit][0] != _UNITS[unit][0]:
        raise LedgerError(f"unit {meaning.unit[:10]!r} is none of {name}, which is told in {unit}")
    if not 0 <= meaning.decimals <= _MOST_DECIMALS:
        raise LedgerError(f"decimals {meaning.decimals}: 0 to {_MOST_DECIMALS}")
    if meaning.modulus is not None and not 10 <= meaning.modulus <= MOST:
        raise LedgerError(f"a counter of {meaning.modulus} values: 10 at least, or none")
    if abs(meaning.clock_shift_s) > _MOST_SHIFT_S:
        raise LedgerError(f"a clock shift of {meaning.clock_shift_s} s: a year at most")
    if not 1 <= meaning.step <= (meaning.modulus or MOST):
        raise LedgerError(f"a dial that moves by {meaning.step} counts: 1 at least")
    return meaning


def check_raw(raw: int, meaning: Meaning) -> int:
    """`raw` if the counter can show it; LedgerError."""
    most = MOST if meaning.modulus is None else meaning.modulus - 1
    if not 0 <= raw <= most:
        raise LedgerError(f"register {raw}: this counter shows 0 to {most}")
    return raw


def scaled(counts: int, meaning: Meaning, register: int) -> int:
    """Raw counts in the register's own scale, rounded down."""
    _name, unit, decimals = QUANTITIES[register]
    power = _UNITS[meaning.unit][1] - meaning.decimals - (_UNITS[unit][1] - decimals)
    factor: int = 10 ** abs(power)
    return counts * factor if power >= 0 else counts // factor


def step_of(meaning: Meaning, register: int) -> int:
    """What one move of the dial is in the register's scale, 1 at least."""
    return max(1, scaled(meaning.step, meaning, register))


def advance(before: int, now: int, modulus: int | None) -> int | None:
    """Counts from one raw value to the next; None: it went back.

    A counter that shows less has begun anew if that is the shorter way around (as RFC 1982, 3.2
    compares serial numbers), so a late reading from before its turn counts as one that went back.
    """
    if modulus is None:
        return now - before if now >= before else None
    delta = (now - before) % modulus
    return delta if delta < modulus - modulus // 2 else None


def goes_on(read: Read, later: Iterable[Read], modulus: int) -> bool:
    """Whether readings behind one at which the counter began anew count on from there. A false 0
    looks like a turn, too: the next reading tells.
    """
    for one in later:
        if one.at_us > read.at_us and one.raw != read.raw:
            return one.raw > read.raw and advance(read.raw, one.raw, modulus) is not None
    return False


def steps(
    start: Walked, reads: Sequence[Read], modulus: int | None, most: Most | None = None
) -> list[Walked]:
    """Where the counter stood at each reading that counted, the start included; `reads` are in
    the order of their times, and of several at one time the first counts.

    What goes back counts for nothing and is told, and so is what is over `most` (None: nothing
    is), and a turn that adds more than little until something goes on from it.
    """
    found = [start]
    back = start.back
    for place, read in enumerate(reads):
        total, at_us, raw, gap_us, _ = found[-1]
        if read.at_us <= at_us:
            continue
        counts = advance(raw, read.raw, modulus)
        if counts is None or (modulus is not None and not read.raw < modulus):
            back += 1
            continue
        if most is None or read not in most.accepted:
            is_over = most is not None and not most.allows(counts, at_us, read)
            is_sure = most is not None and most.allows(counts, at_us, read, SURE)
            if modulus is not None and read.raw < raw and not is_sure:
                is_over |= not goes_on(read, islice(reads, place + 1, None), modulus)
            if is_over:
                back += 1
                continue
        gap_us = max(gap_us, read.at_us - at_us)
        found.append(Walked(total + counts, read.at_us, read.raw, gap_us, back))
    return [*found[:-1], found[-1]._replace(back=back)]


def walk(
    start: Walked, reads: Sequence[Read], modulus: int | None, most: Most | None = None
) -> Walked:
    """Where the counter stands behind `reads`; as `steps`."""
    return steps(start, reads, modulus, most)[-1]
