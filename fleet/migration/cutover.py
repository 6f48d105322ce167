"""Cut-over, rollback and settling of items: which terminal is billed, and from which index on."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from fleet.migration import cards, dualrun, ledger, moves, policy, served, states
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.dualrun import BESIDE, INSTEAD, SAME
from fleet.migration.handover import (
    Anchor,
    Candidate,
    Handover,
    Typed,
    by_dials,
    hand_over,
)
from fleet.migration.ledger import BACK, SWAP, Standing
from fleet.migration.ledger_tables import BillLine
from fleet.migration.policy import US
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import Read, walk
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.switching import Switch, switch
from fleet.migration.tables import MigrationItem
from fleet.registry import beside
from fleet.registry.beside import Place


class Moved(NamedTuple):
    """An item that moved, and the index at which its register goes on; None: it has none, or
    several.
    """

    item_id: int
    state: str
    at_index: int | None


def cut_over(desk: Desk, item_ids: Sequence[int]) -> list[Moved]:
    """From the last moment on at which both terminals told their registers the new one is billed.
    Items that are cut over already are left as they are; others must have passed the gate.
    """
    items = _those(desk, item_ids, states.PARITY, states.CUT_OVER, states.SETTLED)
    there = moves.swaps(desk, items)
    standings = served.standings(desk.session, items)
    both = [
        (item, swap, one)
        for item in items
        for swap, one in dualrun.pairs(there[item.id], standings[item.id])
        if swap.mode != INSTEAD
    ]
    of_old = ledger.reads_since(desk.session, [one for *_, one in both], desk.now_us)
    swapped = [(swap, one) for _, swap, one in both if swap.mode == BESIDE]
    of_new = dict(
        zip((swap.id for swap, _ in swapped), dualrun.candidate_reads(desk, swapped),
            strict=True)
    )  # fmt: skip
    switches: list[Switch] = []
    for (item, swap, standing), old in zip(both, of_old, strict=True):
        if swap.mode == SAME and swap.terminal_id is None:
            switches.append((standing, _retired(standing, old), item.id))
        elif swap.mode == BESIDE:
            made = _over(swap, standing, old, of_new[swap.id], desk.now_us)
            switches.append((standing, made, item.id))
    switch(desk, switches)
    indices = _indices(switches)
    deadlines = {
        item.id: desk.now_us + policy.of(desk.session, item.programme_id).rollback_s * US
        for item in items
    }
    moves.move(
        desk, items, states.CUT_OVER,
        {item.id: _said(indices.get(item.id)) for item in items}, deadline_us=deadlines,
    )  # fmt: skip
    desk.done(served.touched(items, standings))
    return [Moved(item.id, states.CUT_OVER, _index(indices.get(item.id))) for item in items]


def roll_back(
    desk: Desk, item_ids: Sequence[int], reason: str, typed: Typed | None = None
) -> list[Moved]:
    """The old terminals are billed again, from the last moment on at which both told their
    registers, or by the two dials that a person read (`typed`: of one item). What is rolled back
    already is left as it is. LedgerError behind the deadline, and without dials where the old
    terminal was taken away: its counter stood still since.
    """
    items = _those(desk, item_ids, *states.UNDER_WAY, states.ROLLED_BACK)
    items = [item for item in items if item.state != states.ROLLED_BACK]
    if typed is not None and len(items) > 1:
        raise LedgerError("dials are of one item: --item N")
    for item in items:
        moves.check(desk, item, states.ROLLED_BACK)
    there = moves.swaps(desk, items)
    standings = served.standings(desk.session, items)
    if typed is not None:
        for item in items:
            served.only(item, standings[item.id])
    back = [(item, one) for item in items for one in standings[item.id] if _is_on_new(item, one)]
    of_new = ledger.reads_since(desk.session, [one for _, one in back], desk.now_us)
    of_old = fetch(desk.session, [_old_want(item, one, desk.now_us) for item, one in back])
    switches: list[Switch] = []
    for (item, standing), new, old in zip(back, of_new, of_old, strict=True):
        limits = policy.of(desk.session, item.programme_id)
        if typed is None and standing.key[0] == item.asset_id:
            _need_dials(item, there.get(item.id, ()))
        made = _back(item, standing, new, old, typed, limits.most_per_day, desk.now_us)
        switches.append((standing, made, item.id))
    switch(desk, switches)
    _places_back(desk, items, there)
    cards.back(desk, [item for item in items if item.id in there])
    moves.end_swaps(desk, items)
    moves.end_orders(desk, items, "void")
    indices = _indices(switches)
    nothing = dict.fromkeys((item.id for item in items), None)
    moves.move(
        desk, items, states.ROLLED_BACK,
        {item.id: {"reason": reason[:200], **_said(indices.get(item.id))} for item in items},
        deadline_us=nothing, new_terminal_id=nothing,
    )  # fmt: skip
    desk.done(served.touched(items, standings))
    return [Moved(item.id, states.ROLLED_BACK, _index(indices.get(item.id))) for item in items]


def settle(desk: Desk, item_ids: Sequence[int]) -> list[int]:
    """Items whose bill was closed on the new register are settled; the others wait."""
    items = [item for item in moves.find(desk, item_ids) if item.state == states.CUT_OVER]
    standings = served.standings(desk.session, items)
    touched = served.touched(items, standings)
    newest = {
        (asset_id, register): to_us
        for asset_id, register, to_us in desk.session.execute(
            select(BillLine.asset_id, BillLine.register, func.max(BillLine.to_us))
            .where(BillLine.asset_id.in_(touched))
            .group_by(BillLine.asset_id, BillLine.register)
        )
    }
    settled = []
    for item in items:
        if not all(_is_billed(one, newest.get(one.key, -1)) for one in standings[item.id]):
            continue
        moves.check(desk, item, states.SETTLED)
        settled.append(item)
    moves.move(desk, settled, states.SETTLED, {})
    desk.done(served.touched(settled, standings))
    return [item.id for item in settled]


def _is_billed(standing: Standing, to_us: int) -> bool:
    """Whether a bill that reaches to `to_us` was closed on the last segment."""
    segment = standing.segment
    changed_us = segment.from_us if segment.to_us is None else segment.to_us
    return to_us >= max(changed_us, segment.from_us + 1)


def _indices(switches: Sequence[Switch]) -> dict[int, dict[int, int]]:
    """By item, of each of its assets the index at which its register goes on."""
    found: dict[int, dict[int, int]] = {}
    for standing, made, item_id in switches:
        if item_id:
            found.setdefault(item_id, {})[standing.key[0]] = made.closing.end_index
    return found


def _index(indices: dict[int, int] | None) -> int | None:
    return next(iter(indices.values())) if indices and len(indices) == 1 else None


def _said(indices: dict[int, int] | None) -> dict[str, object]:
    """For the record: the index, or those of several meters by their assets."""
    if indices and len(indices) > 1:
        return {"indices": {str(asset_id): index for asset_id, index in indices.items()}}
    return {"index": _index(indices)}


def _those(desk: Desk, item_ids: Sequence[int], wanted: str, *others: str) -> list[MigrationItem]:
    """Items in the state `wanted` that the actor may cut over, or in one of `others`."""
    items = moves.find(desk, item_ids)
    for item in items:
        moves.expect(item, wanted, *others)
    if wanted != states.PARITY:
        return items
    mine = [item for item in items if item.state == wanted]
    for item in mine:
        moves.check(desk, item, states.CUT_OVER)
    return mine


def _over(
    swap: MigrationSwap, standing: Standing, old: list[Read], new: list[Read], now_us: int
) -> Handover:
    old = dualrun.with_dial(swap, old)
    anchor = dualrun.anchor_of(swap, standing, old, new)
    if anchor is None:
        raise LedgerError(
            f"item {swap.item_id}: {swap.terminal_id} and {standing.segment.terminal_id} have not "
            "reported at one moment, and no dials were read"
        )
    assert swap.terminal_id is not None  # noqa: S101
    candidate = Candidate(swap.terminal_id, dualrun.meaning_of(swap), anchor, new)
    return hand_over(standing, old, candidate, SWAP, now_us)


def _retired(standing: Standing, reads: Sequence[Read]) -> Handover:
    segment = standing.segment
    most = standing.most(ledger.meaning_of(segment))
    last = walk(standing.start(), reads, segment.modulus, most)
    at_us = max(last.at_us, standing.boundary_us)
    return Handover(ledger.Closing(at_us, standing.reached(last), last), None)


def _is_on_new(item: MigrationItem, standing: Standing) -> bool:
    """Whether the asset is billed by another terminal than the item's old one, or by none."""
    segment = standing.segment
    return segment.to_us is not None or segment.terminal_id != item.old_terminal_id


def _need_dials(item: MigrationItem, swaps: Sequence[MigrationSwap]) -> None:
    if any(swap.mode == INSTEAD for swap in swaps):
        raise LedgerError(
            f"item {item.id}: {item.old_terminal_id} was taken away, both dials are needed: "
            f"kapok migrate work send-back {item.id}, then work done --final --initial"
        )


def _old_want(item: MigrationItem, standing: Standing, now_us: int) -> Want:
    former = standing.last_of(item.old_terminal_id)
    if former is None or former.last_us is None:
        raise LedgerError(
            f"item {item.id}: asset id:{item.asset_id} was never billed by {item.old_terminal_id}"
        )
    return Want(
        *standing.key, item.old_terminal_id, ledger.meaning_of(former), former.last_us, now_us
    )


def _back(
    item: MigrationItem, standing: Standing, new: list[Read], old: list[Read],
    typed: Typed | None, most_per_day: int, now_us: int,
) -> Handover:  # fmt: skip
    former = standing.last_of(item.old_terminal_id)
    assert former is not None  # noqa: S101  # _old_want refused it
    meaning = ledger.meaning_of(former)
    if typed is not None:
        return by_dials(standing, new, typed, BACK, most_per_day, (item.old_terminal_id, meaning))
    reached = ledger.counted(former, former.total or 0)
    anchor = Anchor(former.last_us or 0, former.last_raw or 0, reached)
    candidate = Candidate(item.old_terminal_id, meaning, anchor, old)
    return hand_over(standing, new, candidate, BACK, now_us)


def _places_back(
    desk: Desk, items: Sequence[MigrationItem], there: dict[int, list[MigrationSwap]]
) -> None:
    go, come = [], []
    for item in items:
        swap = next(iter(there.get(item.id, ())), None)
        if swap is None or swap.mode == SAME:
            continue
        if swap.terminal_id is not None:
            go.append(Place(swap.terminal_id, item.asset_id, desk.now_us))
        if swap.mode == INSTEAD:
            come.append(Place(item.old_terminal_id, item.asset_id, desk.now_us))
    beside.leave(desk.session, go)
    beside.enter(desk.session, come)
