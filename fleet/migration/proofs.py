"""What an audit proves beside the invariants that the database is asked for: that segments are
what their evidence says, and indices what the stored readings come to.
"""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Subquery, func, select
from sqlalchemy.orm import Session, aliased

from fleet.migration import billing, ledger, limits, moves, policy, ties
from fleet.migration import states as names
from fleet.migration.breaches import Breach
from fleet.migration.handover import TYPED
from fleet.migration.ledger_tables import BillLine, Evidence, RegisterSegment
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import Meaning, Read
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.tables import MigrationItem

_CLOCK = ("clock_shift_s", "modulus")
_UNIT = ("unit", "decimals", "step")


def breaches(
    session: Session, asset_ids: Sequence[int], checked: Counter[str]
) -> Iterator[Breach]:
    """Of these assets, asset by asset."""
    segments: dict[ledger.Key, list[RegisterSegment]] = defaultdict(list)
    for segment in session.scalars(
        select(RegisterSegment)
        .where(RegisterSegment.asset_id.in_(asset_ids))
        .order_by(RegisterSegment.asset_id, RegisterSegment.register, RegisterSegment.number)
    ):
        segments[segment.asset_id, segment.register].append(segment)
    lines: dict[ledger.Key, list[BillLine]] = defaultdict(list)
    for line in session.scalars(
        select(BillLine)
        .where(BillLine.asset_id.in_(asset_ids))
        .order_by(BillLine.asset_id, BillLine.register, BillLine.number)
    ):
        lines[line.asset_id, line.register].append(line)
    every = [segment for found in segments.values() for segment in found]
    facts = _facts(session, every)
    reads = dict(zip((one.id for one in every), _reads(session, every), strict=True))
    dials = {
        (asset_id, at_us, raw)
        for asset_id, at_us, raw in session.execute(
            select(MigrationSwap.asset_id, MigrationSwap.at_us, MigrationSwap.old_raw).where(
                MigrationSwap.asset_id.in_(asset_ids)
            )
        )
    }
    seen = ties.visits(session, asset_ids)
    known = limits.of_assets(session, asset_ids)
    for key, found in segments.items():
        yield from ties.untied(found, reads, seen, known.get(key[0], limits.NONE))
        for place, segment in enumerate(found):
            following = found[place + 1] if place + 1 < len(found) else None
            yield from _evident(segment, facts, checked)
            yield from _ended(segment, following, reads[segment.id], dials, checked)
        by_number = {segment.number: segment for segment in found}
        for line in lines[key]:
            yield from _billed(line, by_number, reads, dials, checked)
        checked["I2"] += len(lines[key])
        checked["I3"] += len(lines[key]) + len(found)


def states(session: Session, programme_id: int, checked: Counter[str]) -> Iterator[Breach]:
    """Each item of a programme is in the state to which it was last moved on record, and may go
    back until when the record says.
    """
    moved = Evidence.kind == "move"
    newest, dated, deadline = (
        _newest(moved), _newest(moved & Evidence.body.contains(f'"{moves.DEADLINE}":')),
        aliased(Evidence),
    )  # fmt: skip
    rows = session.execute(
        select(
            MigrationItem.id, MigrationItem.asset_id, MigrationItem.state,
            MigrationItem.deadline_us, Evidence.body, deadline.body,
        )
        .outerjoin(newest, newest.c.item_id == MigrationItem.id)
        .outerjoin(Evidence, Evidence.id == newest.c.id)
        .outerjoin(dated, dated.c.item_id == MigrationItem.id)
        .outerjoin(deadline, deadline.id == dated.c.id)
        .where(MigrationItem.programme_id == programme_id)
        .order_by(MigrationItem.id)
    )  # fmt: skip
    for item_id, asset_id, state, until_us, body, of_deadline in rows:
        checked["I5"] += 1
        said = names.PLANNED if body is None else json.loads(body)["to"]
        if said != state:
            yield Breach("E", asset_id, None, f"item {item_id} is {state}, on record {said}")
        told_us = None if of_deadline is None else json.loads(of_deadline)[moves.DEADLINE]
        if told_us != until_us:
            text = f"item {item_id} may go back until {until_us} us, on record {told_us}"
            yield Breach("E", asset_id, None, text)


def _newest(which: ColumnElement[bool]) -> Subquery:
    return (
        select(Evidence.item_id, func.max(Evidence.id).label("id"))
        .where(which)
        .group_by(Evidence.item_id)
        .subquery()
    )


def policies(session: Session, programme_id: int, checked: Counter[str]) -> Iterator[Breach]:
    """A programme's times are those that were set on record, or the default."""
    checked["I4"] += 1
    told = policy.Policy()
    for body in session.scalars(
        select(Evidence.body).where(Evidence.kind == policy.KIND).order_by(Evidence.id)
    ):
        said = json.loads(body)
        if said["programme"] == programme_id:
            told = policy.Policy(**{name: said[name] for name in policy.Policy._fields})
    found = policy.of(session, programme_id)
    for name, value in found._asdict().items():
        if value != getattr(told, name):
            text = f"policy {name} {value}, on record {getattr(told, name)}"
            yield Breach("E", None, None, text)


def frozen(session: Session, checked: Counter[str]) -> Iterator[Breach]:
    """Each bill that was closed has the lines that were signed then, and those alone."""
    for fact in session.execute(
        select(Evidence.id, Evidence.body).where(Evidence.kind == "freeze").order_by(Evidence.id)
    ):
        checked["I3"] += 1
        columns = [getattr(BillLine, name) for name in billing.SIGNED]
        rows = session.execute(select(*columns).where(BillLine.evidence_id == fact.id))
        lines = [dict(zip(billing.SIGNED, row, strict=True)) for row in rows]
        if billing.digest_of(lines) != json.loads(fact.body)["digest"]:
            yield Breach("E", None, None, f"bill lines of fact {fact.id} are not those signed")
    unsigned = session.execute(
        select(BillLine.asset_id, BillLine.register, BillLine.number)
        .outerjoin(Evidence, Evidence.id == BillLine.evidence_id)
        .where(func.coalesce(Evidence.kind, "") != "freeze")
        .limit(1)
    )
    for asset_id, register, number in unsigned:
        yield Breach("E", asset_id, register, f"bill line {number} is not on record")


def _facts(
    session: Session, segments: Sequence[RegisterSegment]
) -> dict[int, tuple[str, dict[str, Any]]]:
    ids = {one.evidence_id for one in segments} | {one.closed_by or 0 for one in segments}
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        rows = session.execute(
            select(Evidence.id, Evidence.kind, Evidence.body).where(
                Evidence.id.in_(wanted[start : start + 500])
            )
        )
        found |= {row.id: (row.kind, json.loads(row.body)) for row in rows}
    return found


def _reads(session: Session, segments: Sequence[RegisterSegment]) -> list[list[Read]]:
    return fetch(
        session,
        [
            Want(one.asset_id, one.register, one.terminal_id, ledger.meaning_of(one), one.first_us,
                 one.to_us if one.to_us is not None else (1 << 62))
            for one in segments
        ],
    )  # fmt: skip


def _evident(
    segment: RegisterSegment, facts: dict[int, tuple[str, dict[str, Any]]], checked: Counter[str]
) -> Iterator[Breach]:
    """A segment is what the signed record of its beginning, and of its end, say."""
    where = (segment.asset_id, segment.register)
    named = f"segment {segment.number} ({segment.terminal_id})"
    checked["I1"] += 1
    checked["I7"] += 1
    kind, body = facts.get(segment.evidence_id, ("", {}))
    if kind != "segment" or body.get("number") != segment.number:
        yield Breach("I1", *where, f"{named} is not on record")
        return
    said = {
        "register": segment.register, "number": segment.number, "terminal": segment.terminal_id,
        "why": segment.kind, "pair": segment.pair, "from_us": segment.from_us,
        "start_index": segment.start_index, "base_index": segment.base_index,
        "first_us": segment.first_us, "first_raw": segment.first_raw,
        **ledger.meaning_of(segment)._asdict(),
    }  # fmt: skip
    for name, value in said.items():
        if body.get(name) != value:
            which = "I7" if name in _UNIT else "I6" if name in _CLOCK else "I1"
            yield Breach(which, *where, f"{named}: {name} {value}, on record {body.get(name)}")
    if segment.closed_by is None:
        return
    kind, body = facts.get(segment.closed_by, ("", {}))
    ended = {
        "number": segment.number, "terminal": segment.terminal_id, "to_us": segment.to_us,
        "end_index": segment.end_index, "last_us": segment.last_us, "last_raw": segment.last_raw,
        "total": segment.total,
    }  # fmt: skip
    if kind != "segment-end" or any(body.get(name) != value for name, value in ended.items()):
        yield Breach("I1", *where, f"the end of {named} is not as it is on record")


def _ended(
    segment: RegisterSegment, following: RegisterSegment | None, reads: Sequence[Read],
    dials: set[tuple[int, int, int | None]], checked: Counter[str],
) -> Iterator[Breach]:  # fmt: skip
    """A segment's end is what its last reading comes to, and that reading is there."""
    if segment.to_us is None or segment.total is None or segment.end_index is None:
        return
    checked["I6"] += 1
    where = (segment.asset_id, segment.register)
    named = f"segment {segment.number} ({segment.terminal_id})"
    counted = ledger.counted(segment, segment.total)
    if segment.end_index < counted:
        yield Breach("I2", *where, f"{named} ends at {segment.end_index}, it counted {counted}")
    last_us, last_raw = segment.last_us or 0, segment.last_raw or 0
    typed = following is not None and following.pair == TYPED
    if not (typed or _is_there(segment, last_us, last_raw, reads, dials)):
        yield Breach(
            "I3", *where, f"{named} ends with a reading of {last_us} us that is not there"
        )


def _billed(
    line: BillLine, segments: dict[int, RegisterSegment], reads: dict[int, list[Read]],
    dials: set[tuple[int, int, int | None]], checked: Counter[str],
) -> Iterator[Breach]:  # fmt: skip
    where = (line.asset_id, line.register)
    named = f"bill line {line.number}"
    segment = segments.get(line.segment_no)
    if segment is None:
        yield Breach("I3", *where, f"{named} rests on no segment")
        return
    meaning = ledger.meaning_of(segment)
    checked["I1"] += 1
    checked["I6"] += 1
    if not _shows(segment, meaning, line.total, line.read_raw):
        yield Breach("I6", *where, f"{named}: {line.total} counts do not end at {line.read_raw}")
    of_segment = reads[segment.id]
    ends = segment.last_us is not None and line.read_us == segment.last_us
    if not ends and not _is_there(segment, line.read_us, line.read_raw, of_segment, dials):
        yield Breach("I3", *where, f"{named} rests on a reading that is not there")
    counted = ledger.counted(segment, line.total)
    least = max(line.from_index, segment.start_index, counted)
    if line.reason in billing.OVER:
        if line.to_index < least:
            yield Breach("I2", *where, f"{named} ends at {line.to_index}, under {least}")
    elif line.to_index not in (least, segment.end_index):
        yield Breach("I2", *where, f"{named} ends at {line.to_index}, its reading says {least}")
    checked["I4"] += 1
    gap_us = _gap(line, segments, reads)
    if line.quality == billing.GOOD and gap_us > line.policy_us:
        yield Breach(
            "I4", *where, f"{named} is no estimate, yet {gap_us} us are without a reading"
        )


def _gap(
    line: BillLine, segments: dict[int, RegisterSegment], reads: dict[int, list[Read]]
) -> int:
    """The longest time without a reading within a line, by what is stored now. A handover is one
    moment at which its dials are known.
    """
    times = {line.from_us, line.to_us}
    for segment in segments.values():
        if segment.from_us <= line.to_us and (segment.to_us or line.to_us) >= line.from_us:
            times |= {read.at_us for read in reads[segment.id]}
            times |= {segment.from_us, segment.last_us or segment.from_us}
    inside = sorted(at_us for at_us in times if line.from_us <= at_us <= line.to_us)
    return max((b - a for a, b in itertools.pairwise(inside)), default=0)


def _shows(segment: RegisterSegment, meaning: Meaning, total: int, raw: int) -> bool:
    shown = segment.first_raw + total
    return raw == (shown if meaning.modulus is None else shown % meaning.modulus)


def _is_there(
    segment: RegisterSegment, at_us: int, raw: int, reads: Sequence[Read],
    dials: set[tuple[int, int, int | None]],
) -> bool:  # fmt: skip
    """Whether something that was seen says so: a reading, a visit, or the segment's beginning."""
    if (at_us, raw) == (segment.first_us, segment.first_raw):
        return True
    return (segment.asset_id, at_us, raw) in dials or Read(at_us, raw) in reads
