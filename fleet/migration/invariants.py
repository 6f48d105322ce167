"""What must hold of assets' chains, asked of the database itself in a few statements: at every
transition, and first of all by the audit.
"""

from collections.abc import Iterator, Sequence
from functools import cache

from sqlalchemy import (
    and_,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from fleet.migration import bill_checks, states
from fleet.migration.bill_checks import Assets, Query, these
from fleet.migration.breaches import Breach
from fleet.migration.ledger_tables import RegisterSegment
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.tables import MigrationItem
from fleet.registry.sub_tables import SubDevice

# Why a segment may begin on the terminal of the one before it; ledger.py.
_SAME_TERMINAL = ("unit", "clock", "back", "set")


def first(session: Session, asset_ids: Sequence[int]) -> Breach | None:
    """The first invariant of these assets that does not hold; None: all do."""
    assets = {"assets": list(asset_ids)}
    for check in (
        _segments,
        _open,
        bill_checks.lines,
        bill_checks.first_lines,
        bill_checks.sums,
        _billed,
    ):
        for breach in check(session, assets):
            return breach
    return None


@cache
def _segments_query() -> Query:
    one, before = RegisterSegment, aliased(RegisterSegment)
    follows = and_(
        before.asset_id == one.asset_id, before.register == one.register,
        before.number == one.number - 1,
    )  # fmt: skip
    unit_changed = and_(
        before.terminal_id == one.terminal_id,
        or_(before.unit != one.unit, before.decimals != one.decimals),
        one.kind.notin_(("unit", "set")),
    )
    clock_changed = and_(
        before.terminal_id == one.terminal_id,
        or_(
            before.clock_shift_s != one.clock_shift_s,
            func.coalesce(before.modulus, 0) != func.coalesce(one.modulus, 0),
        ),
        one.kind.notin_(("unit", "clock", "set")),
    )
    off_time = or_(before.to_us.is_(None), before.to_us != one.from_us)
    off_index = or_(before.end_index.is_(None), before.end_index != one.start_index)
    back = or_(one.end_index < one.start_index, one.to_us < one.from_us)
    silent = and_(before.terminal_id == one.terminal_id, one.kind.notin_(_SAME_TERMINAL))
    # The last turn of the counter and what it showed at the end must be one number.
    turned = and_(
        one.to_us.is_not(None),
        or_(
            and_(one.modulus.is_(None), one.first_raw + one.total != one.last_raw),
            and_(
                one.modulus.is_not(None),
                (one.first_raw + one.total) % one.modulus != one.last_raw,
            ),
        ),
    )
    missing = and_(one.number > 0, before.id.is_(None))
    return (
        select(
            one, missing, back, off_time, off_index, unit_changed, clock_changed, silent, turned
        )
        .outerjoin(before, follows)
        .where(
            one.asset_id.in_(these()),
            or_(
                missing, back, and_(one.number > 0, or_(off_time, off_index)), unit_changed,
                clock_changed, silent, turned,
            ),
        )
        .order_by(one.asset_id, one.register, one.number)
        .limit(1)
    )  # fmt: skip


def _segments(session: Session, assets: Assets) -> Iterator[Breach]:
    rows = session.execute(_segments_query(), assets)
    for row, is_missing, is_back, time, index, unit, clock, same, turn in rows:
        named = f"segment {row.number} ({row.terminal_id})"
        where = (row.asset_id, row.register)
        if is_missing:
            yield Breach("I1", *where, f"{named} follows none")
        elif is_back:
            yield Breach("I1", *where, f"{named} ends before it begins")
        elif row.number and index:
            yield Breach("I1", *where, f"{named} does not begin at the index of the one before it")
        elif row.number and time:
            yield Breach("I3", *where, f"{named} does not begin when the one before it ended")
        elif unit:
            yield Breach("I7", *where, f"{named} has another unit or decimals, without an event")
        elif clock:
            yield Breach("I6", *where, f"{named} has another clock or counter, without an event")
        elif same:
            yield Breach("I1", *where, f"{named} begins anew on its terminal, without an event")
        elif turn:
            yield Breach("I6", *where, f"{named} ended at a counter that its turns do not give")


@cache
def _open_query() -> Query:
    return (
        select(RegisterSegment.asset_id, RegisterSegment.register)
        .where(RegisterSegment.asset_id.in_(these()), RegisterSegment.to_us.is_(None))
        .group_by(RegisterSegment.asset_id, RegisterSegment.register)
        .having(func.count() > 1)
        .limit(1)
    )


def _open(session: Session, assets: Assets) -> Iterator[Breach]:
    for row in session.execute(_open_query(), assets):
        yield Breach("I3", row.asset_id, row.register, "two terminals are billed at once")


@cache
def _billed_queries() -> tuple[Query, ...]:
    item, swap = MigrationItem, MigrationSwap
    instead = and_(swap.mode == "instead", item.state.in_(states.IN_PLACE))
    on_new = or_(item.state.in_(states.BILLED_NEW), instead)
    other = aliased(MigrationItem)
    newest = (
        select(other.id)
        .where(other.asset_id == item.asset_id, other.state != states.PLANNED)
        .order_by(other.at_us.desc(), other.id.desc())
        .limit(1)
        .correlate(item)
        .scalar_subquery()
    )
    wrong = or_(
        and_(
            on_new, item.new_terminal_id.is_not(None),
            RegisterSegment.terminal_id != item.new_terminal_id,
        ),
        and_(~on_new, RegisterSegment.terminal_id != item.old_terminal_id),
        and_(on_new, item.new_terminal_id.is_(None)),  # retired: nothing is billed any more
    )  # fmt: skip
    columns = select(
        item.id, item.state, RegisterSegment.asset_id, RegisterSegment.register,
        RegisterSegment.terminal_id,
    )  # fmt: skip
    # Of the item's asset, and of the meters on the line of its terminal.
    behind = and_(SubDevice.gateway_id == item.asset_id, SubDevice.open_for.is_not(None))
    own = columns.join(RegisterSegment, RegisterSegment.asset_id == item.asset_id)
    meters = columns.join(SubDevice, behind).join(
        RegisterSegment, RegisterSegment.asset_id == SubDevice.asset_id
    )
    return tuple(
        query.outerjoin(swap, swap.open_for == item.id)
        .where(
            item.asset_id.in_(these()), item.id == newest, RegisterSegment.to_us.is_(None), wrong
        )
        .limit(1)
        for query in (own, meters)
    )  # fmt: skip


def _billed(session: Session, assets: Assets) -> Iterator[Breach]:
    """An item under way, or rolled back last, is billed by the terminal that its state says."""
    for query in _billed_queries():
        for item_id, state, asset_id, register, terminal_id in session.execute(query, assets):
            text = f"item {item_id} is {state} and {terminal_id} is billed"
            yield Breach("I5", asset_id, register, text)
