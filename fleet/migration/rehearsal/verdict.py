"""A rehearsal against the truth: what was told is stored once, what flowed is billed once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.legacy.tables import LegacyConflict, LegacyKept
from fleet.migration.ledger_tables import BillLine
from fleet.migration.rehearsal.street import Street, Sum
from fleet.registry.sub_tables import SubDevice
from fleet.telemetry.tables import Reading

_AT_ONCE = 500


class Wrong(NamedTuple):
    """Of an asset's register (0: none was billed): what was billed, and what flowed."""

    asset_id: int
    register: int
    billed: int
    flowed: int


class Verdict(NamedTuple):
    """`lost` and `twice`: readings that are missing, or too many; `altered`: terminals whose
    sums differ though the count is right. `less` and `more`: bills under and over the truth.
    `ahead`: lines that were billed before it flowed. `estimated`: lines by their reason.
    """

    told: int
    stored: int
    lost: int
    twice: int
    altered: int
    kept: int
    conflicts: int
    registers: int
    lines: int
    billed: int
    less: tuple[Wrong, ...]
    more: tuple[Wrong, ...]
    ahead: int
    estimated: Mapping[str, int]
    longest_gap_us: int

    @property
    def is_true(self) -> bool:
        """Whether nothing was lost, doubled, altered or billed wrongly."""
        wrong = self.lost or self.twice or self.altered or self.ahead or self.conflicts
        return not (wrong or self.less or self.more or self.kept)


def judge(database: Database, street: Street, end_us: int) -> Verdict:
    """Of a rehearsal that has ended; `end_us`: when everybody told the last time."""
    with database.read() as session:
        stored = _stored(session, street)
        lost = twice = altered = 0
        for terminal_id, sent in street.sent.items():
            found = stored.get(terminal_id, Sum())
            lost += max(0, sent.readings - found.readings)
            twice += max(0, found.readings - sent.readings)
            altered += found.readings == sent.readings and found != sent
        wrong = [*_wrong(session, street, end_us)]
        estimated = {
            row[0]: row[1]
            for row in session.execute(
                select(BillLine.reason, func.count())
                .where(BillLine.quality != 0)
                .group_by(BillLine.reason)
            )
        }
        total = func.coalesce(func.sum(BillLine.to_index - BillLine.from_index), 0)
        lines, billed, gap = session.execute(
            select(func.count(), total, func.coalesce(func.max(BillLine.gap_us), 0))
        ).one()
        return Verdict(
            sum(one.readings for one in street.sent.values()),
            sum(one.readings for one in stored.values()), lost, twice, altered,
            session.scalar(select(func.count()).select_from(LegacyKept)) or 0,
            session.scalar(select(func.count()).select_from(LegacyConflict)) or 0,
            len(street.flows), lines, int(billed),
            tuple(one for one in wrong if one.billed < one.flowed),
            tuple(one for one in wrong if one.billed > one.flowed),
            _ahead(session, street), estimated, gap,
        )  # fmt: skip


def _stored(session: Session, street: Street) -> dict[str, Sum]:
    """What the fleet has of each terminal; a register goes on as its sub-device's row says."""
    start_s = street.start_us // 1_000_000
    offsets = {
        row.asset_id: row.register_offset
        for row in session.execute(
            select(SubDevice.asset_id, SubDevice.register_offset).where(
                SubDevice.register_offset != 0
            )
        )
    }
    found: dict[str, Sum] = defaultdict(Sum)
    rows = session.execute(
        select(
            Reading.terminal_id, Reading.asset_id, func.count(), func.sum(Reading.value),
            func.sum(Reading.time_us // 1_000_000 - start_s),
        ).group_by(Reading.terminal_id, Reading.asset_id)
    )  # fmt: skip
    for terminal_id, asset_id, count, values, times in rows:
        before = found[terminal_id]
        told = int(values) - count * offsets.get(asset_id, 0)
        found[terminal_id] = Sum(
            before.readings + count, before.values + told, before.times_s + int(times)
        )
    return found


def _wrong(session: Session, street: Street, end_us: int) -> Iterator[Wrong]:
    billed = {
        (asset_id, register): int(used)
        for asset_id, register, used in session.execute(
            select(
                BillLine.asset_id, BillLine.register,
                func.sum(BillLine.to_index - BillLine.from_index),
            ).group_by(BillLine.asset_id, BillLine.register)
        )
    }  # fmt: skip
    registers = dict(billed.keys())
    for asset_id, (from_us, until_us) in street.billable(end_us).items():
        flow = street.flows[asset_id]
        flowed = flow.at(until_us) - flow.at(from_us)
        used = billed.get((asset_id, register := registers.get(asset_id, 0)), 0)
        if used != flowed:
            yield Wrong(asset_id, register, used, flowed)


def _ahead(session: Session, street: Street) -> int:
    """Good lines whose index is not what had flowed at the reading that they rest on."""
    starts = {
        (asset_id, register): index
        for asset_id, register, index in session.execute(
            select(BillLine.asset_id, BillLine.register, BillLine.from_index).where(
                BillLine.number == 0
            )
        )
    }  # fmt: skip
    count = 0
    rows = session.execute(
        select(
            BillLine.asset_id,
            BillLine.register,
            BillLine.to_us,
            BillLine.to_index,
            BillLine.read_us,
        ).where(BillLine.quality == 0)
    )
    for asset_id, register, to_us, index, read_us in rows:
        flow = street.flows.get(asset_id)
        if flow is None:
            continue
        from_us = street.began.get(asset_id, to_us)
        flowed = flow.at(min(max(read_us, from_us), to_us)) - flow.at(from_us)
        count += index - starts[asset_id, register] != flowed
    return count
