"""What a rollout would be, before it is made: how many nodes it is for, in which groups, and of
every other node why it is not. The same grounds choose and explain.
"""

from collections import Counter
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.query.statement import nodes
from fleet.registry.operations import check_node_id
from fleet.registry.tables import Terminal
from fleet.rollouts import order, target
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.plan import Plan
from fleet.rollouts.target import Ground

PAGE = 1000


class Excluded(NamedTuple):
    """`reason`: key of a text (rollout-excluded); `source`: the words of the query that fail."""

    reason: str
    source: str
    nodes: int


class Preview(NamedTuple):
    """`areas`: the most that one area has of it; `groups`: sizes, the canary first."""

    nodes: int
    groups: tuple[int, ...]
    areas: tuple[tuple[str, int], ...]
    excluded: tuple[Excluded, ...]
    needs_approval: bool


class Standing(NamedTuple):
    """A node and the ground on which it is left out; `reason` empty: it is not."""

    node: str
    reason: str
    source: str


def preview(session: Session, sequence: int, query: str, plan: Plan, now_us: int) -> Preview:
    """Counts alone, by one statement each; QueryError, ReleaseError, RolloutError."""
    what = target.aim(session, sequence, now_us)
    grounds = target.grounds(what, query, now_us)
    place = target.reason(grounds).label("place")
    inner = nodes(place, target.CELL.label("cell")).subquery()
    rows = session.execute(
        select(inner.c.place, inner.c.cell, func.count()).group_by(inner.c.place, inner.c.cell)
    )
    reasons: Counter[int] = Counter()
    areas: Counter[str] = Counter()
    for where, cell, count in rows:
        reasons[where] += count
        if where < 0:
            areas[cell] += count
    total = reasons.pop(-1, 0)
    excluded = tuple(
        Excluded(ground.key, ground.source, reasons[number])
        for number, ground in enumerate(grounds)
        if reasons[number]
    )
    sizes = tuple(order.sizes(total, plan.canary, plan.stages))
    return Preview(total, sizes, tuple(areas.most_common(10)), excluded, what.has_valve)


def standings(
    session: Session, sequence: int, query: str, now_us: int, after: str = "", limit: int = 100
) -> list[Standing]:
    """The nodes that are left out, each with its reason, by node id behind `after`."""
    grounds = target.grounds(target.aim(session, sequence, now_us), query, now_us)
    place = target.reason(grounds)
    rows = session.execute(
        nodes(Terminal.id, place.label("place"))
        .where(Terminal.id > after, place >= 0)
        .order_by(Terminal.id)
        .limit(min(limit, PAGE))
    )
    return [_standing(node_id, where, grounds) for node_id, where in rows]


def standing(session: Session, sequence: int, query: str, node_id: str, now_us: int) -> Standing:
    """Of one node; RolloutError where there is none."""
    grounds = target.grounds(target.aim(session, sequence, now_us), query, now_us)
    row = session.execute(
        nodes(Terminal.id, target.reason(grounds)).where(Terminal.id == check_node_id(node_id))
    ).first()
    if row is None:
        raise RolloutError(f"node {node_id} is not registered: kapok node list")
    return _standing(row[0], row[1], grounds)


def _standing(node_id: str, place: int, grounds: list[Ground]) -> Standing:
    if place < 0:
        return Standing(node_id, "", "")
    return Standing(node_id, grounds[place].key, grounds[place].source)
