"""Bill lines of some assets as an export needs them: which are new, which are known better now,
and what the indices at their ends are by the daily reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from fleet.migration.ledger import Key
from fleet.migration.ledger_tables import BillLine
from fleet.telemetry.metering import history
from fleet.telemetry.metering.bill_tables import BillExport, BillShare
from fleet.telemetry.metering.days import DAY_US, end_us, ends_at
from fleet.telemetry.metering.shares import CARRIED, USAGE, Period
from fleet.telemetry.metering.tables import DailyRead

Known = Mapping[tuple[int, int, int], DailyRead]


class Account(NamedTuple):
    """A register's lines: those to export, those to look at again; what exports said so far."""

    fresh: list[BillLine]
    earlier: list[BillLine]
    told: dict[int, int]
    carried: int


def accounts(session: Session, asset_ids: Sequence[int], to_us: int) -> dict[Key, Account]:
    """Of the assets with lines that end until `to_us` and were not exported."""
    found: dict[Key, Account] = {}
    exported = select(BillShare.line_id).where(
        BillShare.line_id == BillLine.id, BillShare.kind == USAGE
    )
    for line in session.scalars(
        select(BillLine)
        .where(BillLine.asset_id.in_(asset_ids), BillLine.to_us <= to_us, ~exported.exists())
        .order_by(BillLine.asset_id, BillLine.register, BillLine.number)
    ):
        key = (line.asset_id, line.register)
        found.setdefault(key, Account([], [], {}, 0)).fresh.append(line)
    if not found:
        return found
    assets = sorted({asset_id for asset_id, _ in found})
    for line in _known_better(session, assets):
        account = found.get((line.asset_id, line.register))
        if account is not None:
            account.earlier.append(line)
    ids = [line.id for account in found.values() for line in account.earlier]
    told = {}
    for line_id, used in session.execute(
        select(BillShare.line_id, func.sum(BillShare.used))
        .where(BillShare.line_id.in_(ids), BillShare.kind != CARRIED)
        .group_by(BillShare.line_id)
    ):
        told[line_id] = int(used)
    carried = {
        (asset_id, register): int(used)
        for asset_id, register, used in session.execute(
            select(BillLine.asset_id, BillLine.register, func.sum(BillShare.used))
            .join(BillLine, BillLine.id == BillShare.line_id)
            .where(BillLine.asset_id.in_(assets), BillShare.kind == CARRIED)
            .group_by(BillLine.asset_id, BillLine.register)
        )
    }
    return {
        key: account._replace(told=told, carried=carried.get(key, 0))
        for key, account in found.items()
    }


def known(session: Session, found: Iterable[Account]) -> Known:
    """The daily reads at the ends of all these lines, where a day ends there."""
    lines = [line for account in found for line in (*account.fresh, *account.earlier)]
    days = {ends_at(us) for line in lines for us in (line.from_us, line.to_us)} - {None}
    assets = sorted({line.asset_id for line in lines})
    return history.on_days(session, assets, sorted(day for day in days if day is not None))


def at_end(line: BillLine, reads: Known) -> DailyRead | None:
    """The daily read of a line's end."""
    day = ends_at(line.to_us)
    return None if day is None else reads.get((line.asset_id, line.register, day))


def at_begin(line: BillLine, reads: Known) -> DailyRead | None:
    """The daily read of a line's beginning; of a bill's first line there is none."""
    day = ends_at(line.from_us)
    if day is None or line.number == 0:
        return None
    return reads.get((line.asset_id, line.register, day))


def period(line: BillLine, reads: Known) -> Period:
    """A line with what is known of its indices: what was billed, where no day ends."""
    begin, end = at_begin(line, reads), at_end(line, reads)
    return Period(
        line.id, line.from_index, line.to_index,
        line.from_index if begin is None else begin.at_index,
        line.to_index if end is None else end.at_index,
    )  # fmt: skip


def _known_better(session: Session, assets: Sequence[int]) -> list[BillLine]:
    """Exported lines at one end of which the read was revised since, in their order."""
    revised = aliased(BillLine)
    ends = (
        select(revised.asset_id, revised.register, revised.number)
        .join(BillShare, (BillShare.line_id == revised.id) & (BillShare.kind == USAGE))
        .join(BillExport, BillExport.id == BillShare.export_id)
        .join(
            DailyRead,
            (DailyRead.asset_id == revised.asset_id)
            & (DailyRead.register == revised.register)
            & (DailyRead.day == (revised.to_us - end_us(0)) // DAY_US)
            & (DailyRead.day * DAY_US + end_us(0) == revised.to_us),
        )
        .where(
            revised.asset_id.in_(assets), DailyRead.revision > 0,
            DailyRead.made_us >= BillExport.made_us,
        )
        .distinct()
        .subquery()
    )  # fmt: skip
    exported = select(BillShare.line_id).where(
        BillShare.line_id == BillLine.id, BillShare.kind == USAGE
    )
    query = (
        select(BillLine)
        .join(
            ends,
            (ends.c.asset_id == BillLine.asset_id)
            & (ends.c.register == BillLine.register)
            & BillLine.number.between(ends.c.number, ends.c.number + 1),
        )
        .where(exported.exists())
        .distinct()
        .order_by(BillLine.asset_id, BillLine.register, BillLine.number)
    )
    return list(session.scalars(query))
