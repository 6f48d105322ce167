"""Which items of a programme are in which state: what the acts on many of them begin with."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.migration import served
from fleet.migration.swap_tables import MigrationSwap
from fleet.migration.tables import MigrationItem

PAGE = 1000


class Shown(NamedTuple):
    """An item as lists show it; times in us. `verdict`: what the parity gate said last."""

    id: int
    asset_id: int
    old_terminal_id: str
    new_terminal_id: str | None
    path: str
    wave: int | None
    state: str
    at_us: int
    deadline_us: int | None
    verdict: str


def those(
    session: Session, programme_id: int, states: Sequence[str], *, wave: int | None = None,
    ids: Sequence[int] = (),
) -> list[int]:  # fmt: skip
    """Ids of the items in one of these states, of one wave, among `ids` where some are given."""
    query = select(MigrationItem.id).where(
        MigrationItem.programme_id == programme_id, MigrationItem.state.in_(states)
    )
    if wave is not None:
        query = query.where(MigrationItem.wave == wave)
    if ids:
        query = query.where(MigrationItem.id.in_(ids))
    return list(session.scalars(query.order_by(MigrationItem.id)))


def shown(
    session: Session, programme_id: int, state: str = "", after: int = 0, limit: int = PAGE
) -> list[Shown]:
    """Items by id, those behind `after`; `state` empty: all."""
    query = (
        select(
            MigrationItem,
            select(func.max(MigrationSwap.verdict))
            .where(MigrationSwap.open_for == MigrationItem.id)
            .scalar_subquery(),
        )
        .where(MigrationItem.programme_id == programme_id, MigrationItem.id > after)
        .order_by(MigrationItem.id)
        .limit(min(limit, PAGE))
    )
    if state:
        query = query.where(MigrationItem.state == state)
    return [
        Shown(
            row.id, row.asset_id, row.old_terminal_id, row.new_terminal_id, row.path, row.wave,
            row.state, row.at_us, row.deadline_us, verdict or "",
        )
        for row, verdict in session.execute(query)
    ]  # fmt: skip


def counts(session: Session, programme_id: int) -> dict[str, int]:
    """How many items are in each state."""
    rows = session.execute(
        select(MigrationItem.state, func.count())
        .where(MigrationItem.programme_id == programme_id)
        .group_by(MigrationItem.state)
    )
    return {state: count for state, count in rows}  # noqa: C416  # rows are no pairs to mypy


def assets(session: Session, programme_id: int) -> list[int]:
    """The assets of a programme, each once, and those of the meters behind its terminals."""
    own = session.scalars(
        select(MigrationItem.asset_id).where(MigrationItem.programme_id == programme_id).distinct()
    )
    return served.assets(session, list(own))
