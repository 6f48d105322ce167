"""The dual run: a new terminal beside the old one, or instead of it; what a visit put in place."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import insert

from fleet.migration import ledger, moves, policy, served, states
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.handover import (
    Anchor,
    Candidate,
    Typed,
    by_dials,
    checked,
    hand_over,
)
from fleet.migration.ledger import SWAP, Standing
from fleet.migration.policy import Policy
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import (
    Meaning,
    Read,
    check,
    check_raw,
    plain,
    scaled,
    step_of,
    steps,
    walk,
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
    keys = served.keys(desk.session, items)
    standings = served.standings(desk.session, items)
    both = [(item, one) for item in items for one in standings[item.id]]
    reads = ledger.reads_since(desk.session, [one for _, one in both], desk.now_us)
    rows: list[dict[str, object]] = []
    switches: list[Switch] = []
    for item in items:
        if by_item[item.id].terminal_id:
            served.need_own(item, keys[item.id], standings[item.id])
        if not standings[item.id]:
            rows.append(_row(item, by_item[item.id], None))
    for (item, standing), told in zip(both, reads, strict=True):
        put = by_item[item.id]
        if standing.key[0] == item.asset_id:
            limits = policy.of(desk.session, item.programme_id)
            row = _row(item, put, standing)
            switches += _dials(item, put, standing, told, row, limits)
        else:
            row = _row(item, put._replace(meaning=_through(put, standing)), standing)
            switches += _stays(item, put, standing, told, row, desk.now_us)
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
    desk.done(served.touched(items, standings))
    return [item.id for item in items]


def pairs(
    swaps: Sequence[MigrationSwap], standings: Sequence[Standing]
) -> list[tuple[MigrationSwap, Standing]]:
    """What is in place of an item, register by register."""
    by_asset = {swap.asset_id: swap for swap in swaps if swap.register is not None}
    return [(by_asset[one.key[0]], one) for one in standings if one.key[0] in by_asset]


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
    if swap.first_us is not None and swap.first_raw is not None and swap.first_index is not None:
        return Anchor(swap.first_us, swap.first_raw, swap.first_index)
    of_new: dict[int, int] = {}
    for read in new:
        of_new.setdefault(read.at_us, read.raw)
    most = standing.most(ledger.meaning_of(standing.segment))
    for state in steps(standing.start(), old, standing.segment.modulus, most):
        if state.at_us in of_new:
            index = ledger.counted(standing.segment, state.total)
            return Anchor(state.at_us, of_new[state.at_us], index)
    return None


def _repeated(item: MigrationItem, swaps: Sequence[MigrationSwap] | None, put: Put) -> bool:
    if not swaps or item.state not in states.IN_PLACE:
        return False
    swap = swaps[0]
    placed = (swap.at_us, swap.terminal_id or "", swap.mode)
    return placed == (put.at_us, put.terminal_id, put.mode)


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
        "item_id": item.id, "register": register, "mode": put.mode,
        "asset_id": item.asset_id if standing is None else standing.key[0],
        "terminal_id": put.terminal_id or None, "at_us": put.at_us, "old_raw": None,
        "first_us": None, "first_raw": None, "first_index": None, "verdict": "", "judged_us": None,
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
            "old_raw": put.old_raw, "first_us": put.at_us, "first_raw": put.new_raw,
            "first_index": made.closing.end_index,
        }  # fmt: skip
        return [(standing, made, item.id)]
    if put.new_raw is not None and put.old_raw is not None:
        state = checked(standing, reads, typed, limits.most_per_day)
        row |= {
            "old_raw": put.old_raw, "first_us": put.at_us,
            "first_raw": check_raw(put.new_raw, meaning),
            "first_index": ledger.counted(standing.segment, state.total),
        }  # fmt: skip
    return []


def _through(put: Put, standing: Standing) -> Meaning:
    """How a meter that stays is read through what comes: as its quantity, its turns included."""
    known = ledger.meaning_of(standing.segment)
    if put.mode == SAME:
        return known
    register = standing.segment.register
    modulus = None if known.modulus is None else scaled(known.modulus, known, register)
    return plain(register)._replace(modulus=modulus, step=step_of(known, register))


def _stays(
    item: MigrationItem, put: Put, standing: Standing, reads: list[Read],
    row: dict[str, object], now_us: int,
) -> list[Switch]:  # fmt: skip
    """A meter behind the terminal stays where it is: it goes on from what it told last."""
    if put.mode == SAME:
        return []
    segment = standing.segment
    told = [read for read in reads if read.at_us <= put.at_us]
    meaning = ledger.meaning_of(segment)
    last = walk(standing.start(), told, segment.modulus, standing.most(meaning))
    raw = scaled(last.raw, meaning, segment.register)
    anchor = Anchor(last.at_us, raw, ledger.counted(segment, last.total))
    row |= {"first_us": anchor.at_us, "first_raw": raw, "first_index": anchor.at_index}
    if put.mode == BESIDE:
        return []
    candidate = Candidate(put.terminal_id, _through(put, standing), anchor, [])
    return [(standing, hand_over(standing, told, candidate, SWAP, now_us), item.id)]


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
