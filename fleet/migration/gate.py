"""The parity gate: what is in place must count as what is billed does, before it is billed."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import update

from fleet.migration import heard, ledger, moves, policy, served, states
from fleet.migration.desk import Desk
from fleet.migration.dualrun import BESIDE, candidate_reads, meaning_of, pairs
from fleet.migration.ledger import Standing
from fleet.migration.policy import US, Policy
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import Read, Walked, scaled, step_of, steps
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.tables import MigrationItem


class Verdict(NamedTuple):
    """What the gate says of an item: whether it passed, and why not."""

    item_id: int
    passed: bool
    text: str


def judge(desk: Desk, item_ids: Sequence[int]) -> list[Verdict]:
    """Compare what is installed with what is billed; items all of whose registers pass are moved
    to parity.
    """
    items = [item for item in moves.find(desk, item_ids) if item.state == states.INSTALLED]
    there = moves.swaps(desk, items)
    standings = served.standings(desk.session, items)
    compared = [
        (item, swap, standing)
        for item in items
        for swap, standing in pairs(there[item.id], standings[item.id])
        if swap.terminal_id is not None
    ]
    of_old = fetch(
        desk.session,
        [
            Want(*one.key, one.segment.terminal_id, ledger.meaning_of(one.segment),
                 _since(swap), desk.now_us)
            for _, swap, one in compared
        ],
    )  # fmt: skip
    of_new = candidate_reads(desk, [(swap, one) for _, swap, one in compared])
    found: dict[int, list[tuple[bool, str, int]]] = defaultdict(list)
    for (item, swap, standing), old, new in zip(compared, of_old, of_new, strict=True):
        limits = policy.of(desk.session, item.programme_id)
        passed, text = _compare(swap, standing, old, new, limits, desk.now_us)
        found[item.id].append((passed, text, standing.key[0]))
    _without_register(desk, items, there, found)
    verdicts = {item.id: _together(item.id, found[item.id]) for item in items}
    passed_items = [item for item in items if verdicts[item.id].passed]
    for item in passed_items:
        moves.check(desk, item, states.PARITY)
    moves.move(
        desk, passed_items, states.PARITY,
        {item.id: {"verdict": verdicts[item.id].text} for item in passed_items},
    )  # fmt: skip
    rows = [
        {"id": swap.id, "verdict": verdicts[item_id].text[:200], "judged_us": desk.now_us}
        for item_id, several in there.items()
        for swap in several
    ]
    if rows:
        desk.session.execute(update(MigrationSwap), rows)
    desk.done(served.touched(passed_items, standings))
    return [verdicts[item.id] for item in items]


def _without_register(
    desk: Desk, items: Sequence[MigrationItem], there: dict[int, list[MigrationSwap]],
    found: dict[int, list[tuple[bool, str, int]]],
) -> None:  # fmt: skip
    """Where nothing is billed there is nothing to compare: what is in place must be heard."""
    left: dict[int, list[tuple[MigrationItem, MigrationSwap]]] = defaultdict(list)
    for item in items:
        swap = there[item.id][0]
        if item.id not in found and swap.terminal_id is not None:
            left[item.programme_id].append((item, swap))
    for programme_id, several in left.items():
        limits = policy.of(desk.session, programme_id)
        ids = [swap.id for _, swap in several]
        spans = heard.since(desk.session, ids, limits.gap_s, desk.now_us)
        for item, swap in several:
            passed, text = _alone(swap, spans.get(swap.id, []), limits, desk.now_us)
            found[item.id].append((passed, text, item.asset_id))


def _together(item_id: int, found: Sequence[tuple[bool, str, int]]) -> Verdict:
    """Of all registers of an item: the first that holds it back is named."""
    if not found:
        return Verdict(item_id, True, "retired: nothing is to be heard")
    held = [(text, asset_id) for passed, text, asset_id in found if not passed]
    if len(found) == 1:
        return Verdict(item_id, not held, found[0][1])
    if held:
        text, asset_id = held[0]
        more = f"; {len(held) - 1} more" if len(held) > 1 else ""
        return Verdict(item_id, False, f"asset id:{asset_id}: {text}{more}")
    return Verdict(item_id, True, f"{len(found)} meters: {found[0][1]}")


def _since(swap: MigrationSwap) -> int:
    return swap.at_us if swap.first_us is None else swap.first_us


def _compare(
    swap: MigrationSwap, standing: Standing, old: list[Read], new: list[Read], limits: Policy,
    now_us: int,
) -> tuple[bool, str]:  # fmt: skip
    """Whether both count alike for long enough, and the line that says so or why not."""
    if swap.mode != BESIDE:
        times = sorted({read.at_us for read in new if read.at_us > swap.at_us})
        return _alone(swap, [heard.Span(time, time, 1) for time in times], limits, now_us)
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
            for state in steps(
                Walked(0, at_us, raw), reads, meaning.modulus, standing.most(meaning)
            )
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
    # What was seen to agree counts, whatever time a visit was told to be of.
    span_s = (compared[-1] - max(swap.at_us, compared[0])) // US if compared else 0
    if len(compared) < limits.compared or span_s < limits.dual_s:
        return False, f"waits: {len(compared)} readings agree over {span_s} s"
    return True, f"{len(compared)} readings over {span_s} s agree within {tolerance}"


def _tied(
    swap: MigrationSwap, old: Sequence[Read], new: Sequence[Read]
) -> tuple[int, int, int] | None:
    """A time at which both dials are known, and what they showed."""
    if swap.first_raw is not None and swap.first_us is not None:
        if swap.old_raw is not None:
            return swap.first_us, swap.old_raw, swap.first_raw
        # A meter that stays where it is: what it told last through the old terminal.
        last = next((read.raw for read in old if read.at_us == swap.first_us), None)
        if last is not None:
            return swap.first_us, last, swap.first_raw
    of_new: dict[int, int] = {}
    for read in new:
        of_new.setdefault(read.at_us, read.raw)
    found = (read for read in old if read.at_us in of_new)
    first = next(found, None)
    return None if first is None else (first.at_us, first.raw, of_new[first.at_us])


def _alone(
    swap: MigrationSwap, spans: Sequence[heard.Span], limits: Policy, now_us: int
) -> tuple[bool, str]:
    """The old one is gone, or is the new one: it must be heard, long enough and without gaps."""
    ends = [swap.at_us, *(span.last_us for span in spans)]
    begins = [*(span.first_us for span in spans), now_us]
    gap_s = max(begin - end for end, begin in zip(ends, begins, strict=True)) // US
    count, span_s = sum(span.readings for span in spans), (ends[-1] - swap.at_us) // US
    if gap_s > limits.gap_s:
        return False, f"apart: {gap_s} s without a reading"
    if count < limits.compared or span_s < limits.dual_s:
        return False, f"waits: {count} readings over {span_s} s"
    return True, f"{count} readings over {span_s} s without a gap"
