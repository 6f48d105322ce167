"""The groups of a rollout: every node that it is for gets its place, some thousand in a
transaction, so that reports come in between.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, literal_column, select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.registry.tables import Terminal
from fleet.rollouts import counting, order, states, target
from fleet.rollouts.plan import Plan
from fleet.rollouts.tables import RolloutCount, RolloutGroup, Update

# Rows of one transaction: about half a second. The index on nodes is written all over by each
# of them, so a greater part costs less; a smaller one keeps reports waiting for less.
CHUNK = 50_000
# The same pages are in every part: let many parts go before they are copied into the database.
_ROOMY = ("PRAGMA cache_size=-131072", "PRAGMA wal_autocheckpoint=65536")
CANARY, STAGE, LATE = "canary", "stage", "late"
# States of a group; `never`: the rollout was over before its turn.
WAITING, OPEN, DONE, NEVER = "waiting", "open", "done", "never"

Progress = Callable[[int, int], None]


def choose(
    database: Database, grounds: list[target.Ground]
) -> tuple[list[str], list[str]]:  # fmt: skip
    """The ids and areas of the nodes that a rollout is for, as of one moment."""
    statement = target.chosen(grounds, Terminal.id, target.CELL)
    ids: list[str] = []
    cells: list[str] = []
    same: dict[str, str] = {}
    with database.read() as session:
        found = session.connection().execute(statement, execution_options={"yield_per": 10_000})
        for node_id, cell in found:
            ids.append(node_id)
            cells.append(same.setdefault(cell, cell))  # not three million texts of some hundred
    return ids, cells


def clear(database: Database, rollout_id: int) -> None:
    """Forget what an interrupted filling left."""
    while True:
        with database.begin() as session:
            some = (
                select(Update.id).where(Update.rollout_id == rollout_id).limit(CHUNK)
            ).scalar_subquery()
            found = session.execute(
                delete(Update)
                .where(Update.id.in_(some))
                .execution_options(synchronize_session=False)
            )
            if not found.rowcount:  # type: ignore[attr-defined]
                break
    with database.begin() as session:
        for table in (RolloutCount, RolloutGroup):
            session.execute(delete(table).where(table.rollout_id == rollout_id))


def fill(
    database: Database, rollout_id: int, sequence: int, plan: Plan,
    node_ids: Sequence[str], cells: Sequence[str], progress: Progress,
    check: Callable[[Session], object],
) -> None:  # fmt: skip
    """Write the places of nodes and the groups; `progress` is told how many of how many, and
    `check` raises in a transaction that is not to be.
    """
    total = len(node_ids)
    sizes = order.sizes(total, plan.canary, plan.stages)
    # Constants of our own stand in the statement: a row with few parameters takes half the time.
    same: dict[str, ColumnElement[Any]] = {
        key: literal_column(f"'{value}'" if isinstance(value, str) else str(value))
        for key, value in row(rollout_id, 0, 0, "", "", sequence).items()
    }
    of_each: dict[str, ColumnElement[Any]] = {
        name: bindparam(name) for name in ("group_no", "place", "node_id", "cell")
    }
    statement = insert(Update).values({**same, **of_each})
    places = order.arrange(node_ids, cells, sequence)
    written = 0
    for rows in _chunks(_rows(sizes, node_ids, cells, places)):
        with database.begin() as session:
            check(session)
            connection = session.connection()
            if connection.dialect.name == "sqlite":
                for pragma in _ROOMY:
                    connection.exec_driver_sql(pragma)
            connection.execute(statement, rows)
        written += len(rows)
        progress(written, total)
    with database.begin() as session:
        check(session)
        _groups(session, rollout_id, sizes, plan)


def row(
    rollout_id: int, group_no: int, place: int, node_id: str, cell: str, sequence: int
) -> dict[str, Any]:  # fmt: skip
    """An update that has not begun. Due at once, but behind no other: places tell the order."""
    return {
        "rollout_id": rollout_id, "group_no": group_no, "place": place, "node_id": node_id,
        "cell": cell, "sequence": sequence, "state": states.SCHEDULED, "reason": "",
        "due_us": 0, "mark": 0, "attempts": 0, "history": "",
    }  # fmt: skip


def _rows(
    sizes: list[int], node_ids: Sequence[str], cells: Sequence[str], places: list[int]
) -> Iterator[dict[str, Any]]:
    group_no, end = 0, 0
    for place, index in enumerate(places, 1):
        while place > end:
            group_no += 1
            end += sizes[group_no - 1]
        yield {
            "group_no": group_no, "place": place, "node_id": node_ids[index], "cell": cells[index],
        }  # fmt: skip


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for each in rows:
        chunk.append(each)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _groups(session: Session, rollout_id: int, sizes: list[int], plan: Plan) -> None:
    names = [CANARY, *(f"{STAGE}-{number}" for number in range(1, len(sizes)))]
    if plan.late:
        names.append(LATE)
        sizes = [*sizes, 0]
    for number, (name, size) in enumerate(zip(names, sizes, strict=True), 1):
        session.add(
            RolloutGroup(
                rollout_id=rollout_id, number=number, name=name, state=WAITING, total=size,
                errors=0,
            )
        )  # fmt: skip
    session.flush()
    counting.add(
        session,
        [((rollout_id, number, states.SCHEDULED), size) for number, size in enumerate(sizes, 1)],
    )
