"""What must hold of assets' chains, asked of the database itself in a few statements: at every
transition, and first of all by the audit.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from fleet.migration import states
from fleet.migration.breaches import Breach
from fleet.migration.ledger_tables import BillLine, RegisterSegment
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.tables import MigrationItem
from fleet.registry.sub_tables import SubDevice

# Why a segment may begin on the terminal of the one before it; ledger.py.
_SAME_TERMINAL = ("unit", "clock", "back", "set")


def first(session: Session, asset_ids: Sequence[int]) -> Breach | None:
    """The first invariant of these assets that does not hold; None: all do."""
    for check in (_segments, _open, _lines, _first_lines, _sums, _billed):
        for breach in check(session, asset_ids):
            return breach
    return None


def _segments(session: Session, asset_ids: Sequence[int]) -> Iterator[Breach]:
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
    query = (
        select(
            one, missing, back, off_time, off_index, unit_changed, clock_changed, silent, turned
        )
        .outerjoin(before, follows)
        .where(
            one.asset_id.in_(asset_ids),
            or_(
                missing, back, and_(one.number > 0, or_(off_time, off_index)), unit_changed,
                clock_changed, silent, turned,
            ),
        )
        .order_by(one.asset_id, one.register, one.number)
        .limit(1)
    )  # fmt: skip
    for row, is_missing, is_back, time, index, unit, clock, same, turn in session.execute(query):
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


def _open(session: Session, asset_ids: Sequence[int]) -> Iterator[Breach]:
    query = (
        select(RegisterSegment.asset_id, RegisterSegment.register)
        .where(RegisterSegment.asset_id.in_(asset_ids), RegisterSegment.to_us.is_(None))
        .group_by(RegisterSegment.asset_id, RegisterSegment.register)
        .having(func.count() > 1)
        .limit(1)
    )
    for row in session.execute(query):
        yield Breach("I3", row.asset_id, row.register, "two terminals are billed at once")


def _lines(session: Session, asset_ids: Sequence[int]) -> Iterator[Breach]:
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
    query = (
        select(one, off_index, off_time, back, silent)
        .outerjoin(before, follows)
        .where(one.asset_id.in_(asset_ids), or_(off_index, off_time, back, silent))
        .order_by(one.asset_id, one.register, one.number)
        .limit(1)
    )
    for row, index, time, is_back, gap in session.execute(query):
        where = (row.asset_id, row.register)
        if is_back:
            yield Breach("I1", *where, f"bill line {row.number} goes back")
        elif time:
            yield Breach("I3", *where, f"bill line {row.number} begins not where the last ended")
        elif index:
            yield Breach("I2", *where, f"bill line {row.number} begins at another index")
        elif gap:
            yield Breach("I4", *where, f"bill line {row.number} has a gap and no estimate's flag")


def _first_lines(session: Session, asset_ids: Sequence[int]) -> Iterator[Breach]:
    """The bill begins where the ledger does."""
    same: ColumnElement[bool] = and_(
        RegisterSegment.asset_id == BillLine.asset_id,
        RegisterSegment.register == BillLine.register,
        RegisterSegment.number == 0,
    )
    query = (
        select(BillLine.asset_id, BillLine.register)
        .join(RegisterSegment, same, isouter=True)
        .where(
            BillLine.asset_id.in_(asset_ids), BillLine.number == 0,
            or_(
                RegisterSegment.id.is_(None), RegisterSegment.from_us != BillLine.from_us,
                RegisterSegment.start_index != BillLine.from_index,
            ),
        )
        .limit(1)
    )  # fmt: skip
    for row in session.execute(query):
        yield Breach("I2", row.asset_id, row.register, "the bill begins not where the ledger does")


def _sums(session: Session, asset_ids: Sequence[int]) -> Iterator[Breach]:
    used = func.sum(BillLine.to_index - BillLine.from_index)
    whole = func.max(BillLine.to_index) - func.min(BillLine.from_index)
    query = (
        select(BillLine.asset_id, BillLine.register, used, whole)
        .where(BillLine.asset_id.in_(asset_ids))
        .group_by(BillLine.asset_id, BillLine.register)
        .having(or_(used != whole, func.count() != func.max(BillLine.number) + 1))
        .limit(1)
    )
    for asset_id, register, billed, used_up in session.execute(query):
        text = f"{billed} billed, last minus first is {used_up}"
        yield Breach("I2", asset_id, register, text)


def _billed(session: Session, asset_ids: Sequence[int]) -> Iterator[Breach]:
    """An item under way, or rolled back last, is billed by the terminal that its state says."""
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
    for query in (own, meters):
        rows = session.execute(
            query.outerjoin(swap, swap.open_for == item.id)
            .where(
                item.asset_id.in_(asset_ids), item.id == newest,
                RegisterSegment.to_us.is_(None), wrong,
            )
            .limit(1)
        )  # fmt: skip
        for item_id, state, asset_id, register, terminal_id in rows:
            text = f"item {item_id} is {state} and {terminal_id} is billed"
            yield Breach("I5", asset_id, register, text)
