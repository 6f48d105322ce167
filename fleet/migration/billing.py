"""Bill lines: at a moment, what each register has used since the last one. Written once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select

from fleet.migration import ledger
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.ledger import Standing
from fleet.migration.ledger_tables import BillFreeze, BillLine, RegisterSegment
from fleet.migration.policy import US, Policy
from fleet.migration.reads import Want, fetch
from fleet.migration.scaling import Read, Walked, steps

GOOD, ESTIMATED = 0, 1
SIGNED = (
    "asset_id", "register", "number", "from_us", "to_us", "from_index", "to_index", "quality",
    "reason", "gap_us", "policy_us", "segment_no", "read_us", "read_raw", "total",
)  # fmt: skip
GAP = "gap"  # the index is a reading's, but between two readings was too long a time
BETWEEN = "between"  # the index is on the line between two readings
SILENT = "silent"  # nothing was heard since: the last reading stands
ESTIMATE = "estimate"  # as the daily read of that moment says (fleet/telemetry/metering)
OVER = (BETWEEN, ESTIMATE)  # the index may be over that of the reading it rests on


class Line(NamedTuple):
    """What a period comes to; indices in the register's scale, times in us."""

    asset_id: int
    register: int
    from_us: int
    to_us: int
    from_index: int
    to_index: int
    quality: int
    reason: str


class _Reached(NamedTuple):
    """Where a register stood at the end of a period."""

    to_us: int
    end_index: int
    state: Walked
    segment_no: int
    gap_us: int
    reason: str


def freeze(
    desk: Desk, asset_ids: Sequence[int], to_us: int, limits: Policy | None = None,
    estimates: Mapping[ledger.Key, int] | None = None,
) -> list[Line]:  # fmt: skip
    """Close a period of these assets at `to_us`; those whose bill reaches so far are left as they
    are. `limits` None: each asset's programme's. `estimates`: indices at that time of registers
    that were not read. LedgerError for a time to come.
    """
    if to_us > desk.now_us:
        raise LedgerError("a bill is closed at a time that has passed")
    ledger.hold(desk.session, asset_ids)
    standings = [
        one
        for one in ledger.standings(desk.session, asset_ids).values()
        if (one.line.to_us if one.line else one.segments[0].from_us) < to_us
    ]
    parts = [(one, segment) for one in standings for segment in _unbilled(one, to_us)]
    reads = fetch(
        desk.session,
        [
            Want(*one.key, segment.terminal_id, ledger.meaning_of(segment),
                 ledger.start_of(segment, one.line).at_us,
                 desk.now_us if segment.to_us is None else segment.to_us)
            for one, segment in parts
        ],
    )  # fmt: skip
    of_one: dict[ledger.Key, list[tuple[RegisterSegment, list[Read]]]] = {}
    for (one, segment), found in zip(parts, reads, strict=True):
        of_one.setdefault(one.key, []).append((segment, found))
    rows: list[dict[str, Any]] = []
    freeze_id = None
    for one in standings:
        given = (estimates or {}).get(one.key)
        policy_us = (limits or one.policy).gap_s * US
        reached = _reach(one, of_one[one.key], to_us, policy_us, given)
        if freeze_id is None:
            freeze_id = _freeze(desk, to_us)
        row = _row(one, reached, policy_us, freeze_id)
        if row["to_us"] > row["from_us"]:  # a retired register's bill may be closed already
            rows.append(row)
    if rows:
        body = {"to_us": to_us, "lines": len(rows), "digest": digest_of(rows)}
        evidence_id = desk.note("freeze", body)
        desk.store_evidence()
        desk.session.execute(insert(BillLine), [{**r, "evidence_id": evidence_id} for r in rows])
    desk.done([row["asset_id"] for row in rows])
    return [Line(*(row[name] for name in Line._fields)) for row in rows]


def digest_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256, in hexadecimal, of all that these bill lines say."""
    said = [[row[name] for name in SIGNED] for row in rows]
    return hashlib.sha256(json.dumps(sorted(said)).encode()).hexdigest()


def _unbilled(one: Standing, to_us: int) -> list[RegisterSegment]:
    since = 0 if one.line is None else one.line.segment_no
    return [
        segment
        for segment in one.segments
        if segment.number >= since and (segment.from_us < to_us or segment.number == since)
    ]


def _reach(
    one: Standing, parts: list[tuple[RegisterSegment, list[Read]]], to_us: int, policy_us: int,
    given: int | None,
) -> _Reached:  # fmt: skip
    heard_us = one.line.read_us if one.line is not None else one.segments[0].from_us
    gap_us = 0
    for segment, reads in parts[:-1]:
        for state in _states(one, segment, reads):
            if heard_us <= state.at_us <= (segment.to_us or 0):
                gap_us, heard_us = max(gap_us, state.at_us - heard_us), state.at_us
    segment, reads = parts[-1]
    end_us = to_us if segment.to_us is None else min(to_us, segment.to_us)
    states = _states(one, segment, reads)
    last, following = states[0], None
    for state in states:
        if state.at_us > end_us:
            following = state
            break
        last = state
        if state.at_us >= heard_us:
            gap_us, heard_us = max(gap_us, state.at_us - heard_us), state.at_us
    gap_us = max(gap_us, end_us - heard_us)
    index, reason = ledger.index_of(segment, one.line, last), ""
    if segment.end_index is not None:  # what came too late to be of its end is not billed
        index = min(index, segment.end_index)
    if segment.to_us is not None and end_us == segment.to_us and segment.end_index is not None:
        index = segment.end_index
        last = Walked(segment.total or 0, segment.last_us or 0, segment.last_raw or 0)
    elif given is not None:
        most = given if segment.end_index is None else min(given, segment.end_index)
        index, reason = max(index, most), ESTIMATE
    elif end_us - last.at_us > policy_us and following is not None:
        after = ledger.index_of(segment, one.line, following)
        since_us = max(last.at_us, segment.from_us)
        index += (after - index) * (end_us - since_us) // (following.at_us - since_us)
        reason = BETWEEN
    elif end_us - last.at_us > policy_us:
        reason = SILENT
    if gap_us > policy_us and not reason:
        reason = GAP
    return _Reached(end_us, index, last, segment.number, gap_us, reason)


def _states(one: Standing, segment: RegisterSegment, reads: list[Read]) -> list[Walked]:
    most = one.most(ledger.meaning_of(segment))
    return steps(ledger.start_of(segment, one.line), reads, segment.modulus, most)


def _row(one: Standing, reached: _Reached, policy_us: int, freeze_id: int) -> dict[str, Any]:
    line, first = one.line, one.segments[0]
    number = 0 if line is None else line.number + 1
    return {
        "asset_id": one.key[0], "register": one.key[1], "number": number,
        "previous": number - 1 if number else None,
        "from_us": first.from_us if line is None else line.to_us, "to_us": reached.to_us,
        "from_index": first.start_index if line is None else line.to_index,
        "to_index": reached.end_index, "quality": ESTIMATED if reached.reason else GOOD,
        "reason": reached.reason, "gap_us": reached.gap_us, "policy_us": policy_us,
        "segment_no": reached.segment_no, "read_us": reached.state.at_us,
        "read_raw": reached.state.raw, "total": reached.state.total, "freeze_id": freeze_id,
    }  # fmt: skip


def _freeze(desk: Desk, to_us: int) -> int:
    found = desk.session.scalar(select(BillFreeze.id).where(BillFreeze.to_us == to_us))
    if found is not None:
        return found
    row = BillFreeze(to_us=to_us, made_us=desk.now_us)
    desk.session.add(row)
    desk.session.flush()
    return row.id
