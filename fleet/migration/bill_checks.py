"""What must hold of bill lines, asked of the database itself."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session, aliased

from fleet.migration.breaches import Breach
from fleet.migration.ledger_tables import BillLine, RegisterSegment

Assets = Mapping[str, list[int]]
Query = Any  # a select, of columns of its own


# Each question is put together once: that takes longer than the database does to answer it.
def these() -> BindParameter[Sequence[int]]:
    """The assets that a question is about."""
    return bindparam("assets", expanding=True)


@cache
def _lines_query() -> Query:
    one, before = BillLine, aliased(BillLine)
    follows = and_(
        before.asset_id == one.asset_id, before.register == one.register,
        before.number == one.number - 1,
    )  # fmt: skip
    later = one.number > 0
    off_index = and_(later, or_(before.id.is_(None), before.to_index != one.from_index))
    off_time = and_(later, or_(before.id.is_(None), before.to_us != one.from_us))
    back = or_(one.to_index < one.from_index, one.to_us <= one.from_us)
    silent = and_(one.quality == 0, one.gap_us > one.policy_us)
    return (
        select(one, off_index, off_time, back, silent)
        .outerjoin(before, follows)
        .where(one.asset_id.in_(these()), or_(off_index, off_time, back, silent))
        .order_by(one.asset_id, one.register, one.number)
        .limit(1)
    )


def lines(session: Session, assets: Assets) -> Iterator[Breach]:
    """Each begins where the one before it ended, and none has a gap that it does not tell."""
    for row, index, time, is_back, gap in session.execute(_lines_query(), assets):
        where = (row.asset_id, row.register)
        if is_back:
            yield Breach("I1", *where, f"bill line {row.number} goes back")
        elif time:
            yield Breach("I3", *where, f"bill line {row.number} begins not where the last ended")
        elif index:
            yield Breach("I2", *where, f"bill line {row.number} begins at another index")
        elif gap:
            yield Breach("I4", *where, f"bill line {row.number} has a gap and no estimate's flag")


@cache
def _first_lines_query() -> Query:
    same: ColumnElement[bool] = and_(
        RegisterSegment.asset_id == BillLine.asset_id,
        RegisterSegment.register == BillLine.register,
        RegisterSegment.number == 0,
    )
    return (
        select(BillLine.asset_id, BillLine.register)
        .join(RegisterSegment, same, isouter=True)
        .where(
            BillLine.asset_id.in_(these()), BillLine.number == 0,
            or_(
                RegisterSegment.id.is_(None), RegisterSegment.from_us != BillLine.from_us,
                RegisterSegment.start_index != BillLine.from_index,
            ),
        )
        .limit(1)
    )  # fmt: skip


def first_lines(session: Session, assets: Assets) -> Iterator[Breach]:
    """The bill begins where the ledger does."""
    for row in session.execute(_first_lines_query(), assets):
        yield Breach("I2", row.asset_id, row.register, "the bill begins not where the ledger does")


@cache
def _sums_query() -> Query:
    used = func.sum(BillLine.to_index - BillLine.from_index)
    whole = func.max(BillLine.to_index) - func.min(BillLine.from_index)
    return (
        select(BillLine.asset_id, BillLine.register, used, whole)
        .where(BillLine.asset_id.in_(these()))
        .group_by(BillLine.asset_id, BillLine.register)
        .having(or_(used != whole, func.count() != func.max(BillLine.number) + 1))
        .limit(1)
    )


def sums(session: Session, assets: Assets) -> Iterator[Breach]:
    """What all lines of a register come to is last minus first."""
    for asset_id, register, billed, used_up in session.execute(_sums_query(), assets):
        text = f"{billed} billed, last minus first is {used_up}"
        yield Breach("I2", asset_id, register, text)
