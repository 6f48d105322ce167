"""Every change of an item's state: who may, until when, and what is put on record of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select, update

from fleet.migration import states
from fleet.migration.breaches import LedgerError
from fleet.migration.desk import Desk
from fleet.migration.swap_tables import MigrationSwap, WorkOrder
from fleet.migration.tables import MigrationItem

DEADLINE: Final = "deadline_us"


def find(desk: Desk, item_ids: Sequence[int]) -> list[MigrationItem]:
    """Items by their ids, locked; LedgerError for one that there is not."""
    rows = list(
        desk.session.scalars(
            select(MigrationItem)
            .where(MigrationItem.id.in_(item_ids))
            .order_by(MigrationItem.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    )
    if len(rows) != len(set(item_ids)):
        missing = sorted(set(item_ids) - {row.id for row in rows})
        raise LedgerError(f"there is no item {missing[0]}: kapok migrate ledger items PROGRAMME")
    return rows


def swaps(desk: Desk, items: Sequence[MigrationItem]) -> dict[int, list[MigrationSwap]]:
    """What is in place of each item that has something in place: a row for each register that it
    moves, or one where it moves none. All of an item have one mode, terminal and time.
    """
    rows = desk.session.scalars(
        select(MigrationSwap)
        .where(MigrationSwap.open_for.in_([item.id for item in items]))
        .order_by(MigrationSwap.id)
        .execution_options(populate_existing=True)
    )
    found: dict[int, list[MigrationSwap]] = {}
    for row in rows:
        found.setdefault(row.item_id, []).append(row)
    return found


def expect(item: MigrationItem, *wanted: str) -> None:
    """LedgerError unless the item is in one of these states."""
    if item.state not in wanted:
        raise LedgerError(
            f"item {item.id} ({item.old_terminal_id}) is {item.state}, not {' or '.join(wanted)}"
        )


def check(desk: Desk, item: MigrationItem, to: str) -> None:
    """LedgerError unless the desk's actor may make this transition, and in time."""
    if not states.may(desk.actor, item.state, to):
        may = states.who_may(item.state, to)
        who = f"only {' or '.join(may)} does that" if may else "nobody does that"
        raise LedgerError(f"item {item.id} ({item.old_terminal_id}): {item.state} to {to}: {who}")
    late = item.deadline_us is not None and desk.now_us > item.deadline_us
    if to == states.ROLLED_BACK and late:
        raise LedgerError(
            f"item {item.id} ({item.old_terminal_id}): its rollback was possible until "
            f"{item.deadline_us} us: a new programme may move it again"
        )


def move(
    desk: Desk, items: Sequence[MigrationItem], to: str, bodies: Mapping[int, Mapping[str, Any]],
    **values: Mapping[int, Any],
) -> None:  # fmt: skip
    """Move items that were checked. `bodies`: what is put on record of each beside its states,
    and its deadline where that changes; `values`: new values of other columns by item.
    """
    rows: list[dict[str, Any]] = []
    for item in items:
        body = {"from": item.state, "to": to, **bodies.get(item.id, {})}
        if DEADLINE in values:
            body[DEADLINE] = values[DEADLINE][item.id]
        desk.note("move", body, item_id=item.id, asset_id=item.asset_id)
        rows.append(
            {
                "id": item.id, "state": to, "at_us": desk.now_us,
                "open_for": item.old_terminal_id if to in states.UNDER_WAY else None,
                **{name: by_item[item.id] for name, by_item in values.items()},
            }
        )  # fmt: skip
    if rows:
        desk.session.execute(update(MigrationItem), rows)


def end_swaps(desk: Desk, items: Sequence[MigrationItem]) -> None:
    """What was in place of these items is no more."""
    desk.session.execute(
        update(MigrationSwap)
        .where(MigrationSwap.open_for.in_([item.id for item in items]))
        .values(open_for=None)
    )


def end_orders(desk: Desk, items: Sequence[MigrationItem], state: str) -> None:
    """Jobs of these items that are not done are `done` by another way, or `void`."""
    desk.session.flush()
    desk.session.execute(
        update(WorkOrder)
        .where(
            WorkOrder.item_id.in_([item.id for item in items]),
            WorkOrder.state.in_(("open", "started")),
        )
        .values(state=state, done_us=desk.now_us)
    )
