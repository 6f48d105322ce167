"""The dual run: a new terminal beside the old one, or instead of it; and the gate that compares
what both count before the new one is billed.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import insert, update

from fleet.migration import ledger, moves, policy, states
from fleet.migration.adopting import registers_of
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.handover import Anchor, Typed, by_dials, checked, steps
from fleet.migration.ledger import SWAP, Standing
from fleet.migration.policy import US, Policy
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import (
    Meaning,
    Read,
    Walked,
    check,
    check_raw,
    plain,
    scaled,
    step_of,
)
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.switching import Switch, switch
from fleet.migration.tables import MigrationItem
from fleet.registry import beside
from fleet.registry.beside import Place

BESIDE, INSTEAD, SAME = "beside", "instead", "same"


class Put(NamedTuple):
    """What a visit put in place. `terminal_id` empty: nothing, the asset's register is retired.

    `old_raw` and `new_raw`: the dials as they were seen at `at_us`, None where none was.
    `meaning` None: the register is read as its quantity.
    """

    item_id: int
    mode: str
    terminal_id: str
    at_us: int
    old_raw: int | None = None
    new_raw: int | None = None
    meaning: Meaning | None = None


class Verdict(NamedTuple):
    """What the gate says of an item: whether it passed, and why not."""

    item_id: int
    passed: bool
    text: str


def install(desk: Desk, puts: Sequence[Put]) -> list[int]:
    """Something new is in place; the items that were ready for it. An item that has just this in
    place already stays as it is, so that a repeated act is harmless.
    """
    by_item = {put.item_id: put for put in puts}
    items = moves.find(desk, list(by_item))
    there = moves.swaps(desk, items)
    items = [item for item in items if not _repeated(item, there.get(item.id), by_item[item.id])]
    for item in items:
        moves.check(desk, item, states.INSTALLED)
    registers = registers_of(desk, [item.asset_id for item in items])
    standings = ledger.standings(desk.session, list(registers))
    billed = {item.id: _standing(item, registers, standings) for item in items}
    known = [(item, one) for item in items if (one := billed[item.id]) is not None]
    reads = dict(
        zip(
            (item.id for item, _ in known),
            ledger.reads_since(desk.session, [one for _, one in known], desk.now_us),
            strict=True,
        )
    )
    rows, switches = [], []
    for item in items:
        put, standing = by_item[item.id], billed[item.id]
        row = _row(item, put, standing)
        if standing is not None:
            limits = policy.of(desk.session, item.programme_id)
            switches += _dials(item, put, standing, reads[item.id], row, limits)
        rows.append(row)
    _places(desk, items, by_item)
    switch(desk, switches)
    if rows:
        desk.session.execute(insert(MigrationSwap), rows)
    moves.end_orders(desk, items, "done")
    moves.move(
        desk, items, states.INSTALLED,
        {item.id: by_item[item.id]._asdict() | {"meaning": None} for item in items},
        new_terminal_id={item.id: by_item[item.id].terminal_id or None for item in items},
    )  # fmt: skip
    desk.done([item.asset_id for item in items])
    return [item.id for item in items]


def judge(desk: Desk, item_ids: Sequence[int]) -> list[Verdict]:
    """Compare what is installed with what is billed; items that pass are moved to parity."""
    items = [item for item in moves.find(desk, item_ids) if item.state == states.INSTALLED]
    there = moves.swaps(desk, items)
    registers = registers_of(desk, [item.asset_id for item in items])
    standings = ledger.standings(desk.session, list(registers))
    verdicts: dict[int, Verdict] = {}
    compared = []
    for item in items:
        swap, standing = there[item.id], _standing(item, registers, standings)
        if standing is None or swap.terminal_id is None:
            verdicts[item.id] = Verdict(item.id, True, "no register to compare")
        else:
            compared.append((item, swap, standing))
    of_old = fetch(
        desk.session,
        [
            Want(*one.key, one.segment.terminal_id, ledger.meaning_of(one.segment), swap.at_us,
                 desk.now_us)
            for _, swap, one in compared
        ],
    )  # fmt: skip
    of_new = candidate_reads(desk, [(swap, one) for _, swap, one in compared])
    for (item, swap, standing), old, new in zip(compared, of_old, of_new, strict=True):
        limits = policy.of(desk.session, item.programme_id)
        passed, text = _compare(swap, standing, old, new, limits, desk.now_us)
        verdicts[item.id] = Verdict(item.id, passed, text)
    passed_items = [item for item in items if verdicts[item.id].passed]
    for item in passed_items:
        moves.check(desk, item, states.PARITY)
    moves.move(
        desk, passed_items, states.PARITY,
        {item.id: {"verdict": verdicts[item.id].text} for item in passed_items},
    )  # fmt: skip
    if there:
        desk.session.execute(
            update(MigrationSwap),
            [
                {"id": swap.id, "verdict": verdicts[item_id].text[:200], "judged_us": desk.now_us}
                for item_id, swap in there.items()
            ],
        )
    desk.done([item.asset_id for item in passed_items])
    return [verdicts[item.id] for item in items]


def meaning_of(swap: MigrationSwap) -> Meaning:
    """How the new terminal's register is read."""
    return Meaning(
        swap.unit or "", swap.decimals or 0, swap.modulus, swap.clock_shift_s or 0, swap.step or 1
    )


def candidate_reads(
    desk: Desk, pairs: Iterable[tuple[MigrationSwap, Standing]]
) -> list[list[Read]]:
    """The new terminals' readings since they were put in place."""
    wants = [
        Want(*one.key, swap.terminal_id or "", meaning_of(swap), swap.at_us, desk.now_us)
        for swap, one in pairs
    ]
    return fetch(desk.session, wants)


def with_dial(swap: MigrationSwap, reads: list[Read]) -> list[Read]:
    """The old terminal's readings, and its dial as the visit saw it."""
    if swap.old_raw is None:
        return reads
    return sorted([Read(swap.at_us, swap.old_raw), *reads], key=lambda read: read.at_us)


def anchor_of(
    swap: MigrationSwap, standing: Standing, old: Sequence[Read], new: Sequence[Read]
) -> Anchor | None:
    """What ties the new register to the index: both dials at the visit, else the first moment at
    which both reported; None: nothing yet.
    """
    if swap.first_raw is not None and swap.first_index is not None:
        return Anchor(swap.at_us, swap.first_raw, swap.first_index)
    of_new: dict[int, int] = {}
    for read in new:
        of_new.setdefault(read.at_us, read.raw)
    for state in steps(standing.start(), old, standing.segment.modulus):
        if state.at_us in of_new:
            index = ledger.counted(standing.segment, state.total)
            return Anchor(state.at_us, of_new[state.at_us], index)
    return None


def _repeated(item: MigrationItem, swap: MigrationSwap | None, put: Put) -> bool:
    return (
        swap is not None and item.state in states.IN_PLACE and swap.at_us == put.at_us
        and (swap.terminal_id or "") == put.terminal_id and swap.mode == put.mode
    )  # fmt: skip


def _standing(
    item: MigrationItem, registers: dict[int, int], standings: dict[ledger.Key, Standing]
) -> Standing | None:
    register = registers.get(item.asset_id)
    return None if register is None else ledger.need(standings, (item.asset_id, register))


def _row(item: MigrationItem, put: Put, standing: Standing | None) -> dict[str, object]:
    if put.mode not in (BESIDE, INSTEAD, SAME):
        raise LedgerError(f"item {item.id}: no such mode: {put.mode[:20]!r}")
    if (put.mode == SAME) != (put.terminal_id in ("", item.old_terminal_id)):
        raise LedgerError(
            f"item {item.id}: mode {put.mode} does not go with terminal {put.terminal_id!r}: only "
            "what is the same, or nothing, is put in place so"
        )
    register, meaning = None, None
    if standing is not None:
        register = standing.segment.register
        default = ledger.meaning_of(standing.segment) if put.mode == SAME else plain(register)
        meaning = check(put.meaning or default, register)
    shape: dict[str, object] = (
        dict.fromkeys(Meaning._fields) if meaning is None else meaning._asdict()
    )
    return {
        "item_id": item.id, "asset_id": item.asset_id, "register": register, "mode": put.mode,
        "terminal_id": put.terminal_id or None, "at_us": put.at_us, "old_raw": None,
        "first_raw": None, "first_index": None, "verdict": "", "judged_us": None,
        "open_for": item.id, **shape,
    }  # fmt: skip


def _dials(
    item: MigrationItem, put: Put, standing: Standing, reads: list[Read],
    row: dict[str, object], limits: Policy,
) -> list[Switch]:  # fmt: skip
    """Hold the dials against the readings, and note them; the switch of what went at once."""
    if put.mode == SAME:
        return []
    meaning = check(put.meaning or plain(standing.segment.register), standing.segment.register)
    typed = Typed(put.at_us, put.old_raw, put.new_raw)
    if put.mode == INSTEAD:
        if put.old_raw is None:
            raise LedgerError(f"item {item.id}: what did the old dial show? --final N")
        made = by_dials(
            standing, reads, typed, SWAP, limits.most_per_day, (put.terminal_id, meaning)
        )
        row |= {
            "old_raw": put.old_raw, "first_raw": put.new_raw,
            "first_index": made.closing.end_index,
        }  # fmt: skip
        return [(standing, made, item.id)]
    if put.new_raw is not None and put.old_raw is not None:
        state = checked(standing, reads, typed, limits.most_per_day)
        row |= {
            "old_raw": put.old_raw, "first_raw": check_raw(put.new_raw, meaning),
            "first_index": ledger.counted(standing.segment, state.total),
        }  # fmt: skip
    return []


def _places(desk: Desk, items: Sequence[MigrationItem], by_item: dict[int, Put]) -> None:
    come, go = [], []
    for item in items:
        put = by_item[item.id]
        if put.mode != SAME:
            come.append(Place(put.terminal_id, item.asset_id, put.at_us))
        if put.mode == INSTEAD:
            go.append(Place(item.old_terminal_id, item.asset_id, put.at_us))
    beside.leave(desk.session, go)
    beside.enter(desk.session, come)


def _compare(
    swap: MigrationSwap, standing: Standing, old: list[Read], new: list[Read], limits: Policy,
    now_us: int,
) -> tuple[bool, str]:  # fmt: skip
    """Whether both count alike for long enough, and the line that says so or why not."""
    if swap.mode != BESIDE:
        return _alone(swap, new, limits, now_us)
    register, of_old, of_new = (
        standing.segment.register, ledger.meaning_of(standing.segment), meaning_of(swap),
    )  # fmt: skip
    tied = _tied(swap, old, new)
    if tied is None:
        return False, "waits: both have not reported at one moment, and no dials were read"
    at_us, old_raw, new_raw = tied
    # Of both what was counted since then, in the register's scale.
    billed, shadow = (
        [
            (state.at_us, scaled(state.total, meaning, register))
            for state in steps(Walked(0, at_us, raw), reads, meaning.modulus)
        ]
        for raw, reads, meaning in ((old_raw, old, of_old), (new_raw, new, of_new))
    )
    tolerance = step_of(of_new, register) + step_of(of_old, register)
    compared: list[int] = []
    place = 0
    for when, index in billed[1:]:
        while place + 1 < len(shadow) and shadow[place + 1][0] <= when:
            place += 1
        ahead = place if shadow[place][0] == when else place + 1
        if ahead >= len(shadow):
            break
        low, high = shadow[place][1], shadow[ahead][1]
        if not low - tolerance <= index <= high + tolerance:
            return (
                False,
                f"apart at {when} us: old counted {index}, new {low} to {high}",
            )
        compared.append(when)
    span_s = (compared[-1] - swap.at_us) // US if compared else 0
    if len(compared) < limits.compared or span_s < limits.dual_s:
        return False, f"waits: {len(compared)} readings agree over {span_s} s"
    return True, f"{len(compared)} readings over {span_s} s agree within {tolerance}"


def _tied(
    swap: MigrationSwap, old: Sequence[Read], new: Sequence[Read]
) -> tuple[int, int, int] | None:
    """A time at which both dials are known, and what they showed."""
    if swap.first_raw is not None and swap.old_raw is not None:
        return swap.at_us, swap.old_raw, swap.first_raw
    of_new: dict[int, int] = {}
    for read in new:
        of_new.setdefault(read.at_us, read.raw)
    found = (read for read in old if read.at_us in of_new)
    first = next(found, None)
    return None if first is None else (first.at_us, first.raw, of_new[first.at_us])


def _alone(
    swap: MigrationSwap, reads: list[Read], limits: Policy, now_us: int
) -> tuple[bool, str]:
    """The old one is gone, or is the new one: it must be heard, long enough and without gaps."""
    times = [swap.at_us, *(read.at_us for read in reads if read.at_us > swap.at_us)]
    gap_s = max((b - a for a, b in zip(times, [*times[1:], now_us], strict=True)), default=0) // US
    span_s = (times[-1] - swap.at_us) // US
    if gap_s > limits.gap_s:
        return False, f"apart: {gap_s} s without a reading"
    if len(times) <= limits.compared or span_s < limits.dual_s:
        return False, f"waits: {len(times) - 1} readings over {span_s} s"
    return True, f"{len(times) - 1} readings over {span_s} s without a gap"
