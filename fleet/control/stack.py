"""The layers that lie over a node: areas from the city down to the street, groups by rank, itself.

What lies higher wins; of one area or group what is said to the node's role wins over the rest.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleet.control import keys
from fleet.control.desired_tables import Group, GroupMember, Layer
from fleet.control.targets import AREA, GONE, GROUP, NODE, Target
from fleet.registry.tables import Terminal


class Node(NamedTuple):
    """What decides which layers lie over it."""

    id: str
    role: str
    area: str


class Wish(NamedTuple):
    """A value, and whose wish it is."""

    value: Any
    of: Target


def stacks(session: Session, node_ids: Sequence[str]) -> Iterator[tuple[Node, dict[str, Wish]]]:
    """Each node by id, with what is wanted of it; none that is gone for ever."""
    nodes = [
        Node(*row)
        for row in session.execute(
            select(Terminal.id, Terminal.role, Terminal.area_code)
            .where(Terminal.id.in_(list(node_ids)), Terminal.state.not_in(GONE))
            .order_by(Terminal.id)
        )
    ]
    groups = _groups(session, [node.id for node in nodes])
    layers = _layers(session, nodes, groups)
    for node in nodes:
        wanted: dict[str, Wish] = {}
        for kind, name in _over(node, groups.get(node.id, [])):
            for role in ("", node.role):
                for key, value in layers.get((kind, name, role), {}).items():
                    if keys.knows(node.role, key):
                        wanted[key] = Wish(value, Target(kind, name, role))
        yield node, wanted


def _over(node: Node, groups: Sequence[str]) -> list[tuple[str, str]]:
    """Kinds and names, the lowest first."""
    return [
        *((AREA, code) for code in _areas(node.area)),
        *((GROUP, name) for name in groups),
        (NODE, node.id),
    ]


def _areas(code: str) -> list[str]:
    """Every area that one lies in, the widest first, itself last."""
    return [code[:length] for length in range(2, len(code) + 1)]


def _groups(session: Session, node_ids: Sequence[str]) -> dict[str, list[str]]:
    """The groups of each node, the lowest first."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        select(GroupMember.node_id, Group.name)
        .join(Group, Group.name == GroupMember.group_name)
        .where(GroupMember.node_id.in_(list(node_ids)))
        .order_by(Group.rank, Group.name)
    )
    for node_id, name in rows:
        found.setdefault(node_id, []).append(name)
    return found


def _layers(
    session: Session, nodes: Sequence[Node], groups: dict[str, list[str]]
) -> dict[tuple[str, str, str], dict[str, Any]]:
    areas = {code for node in nodes for code in _areas(node.area)}
    names = {name for several in groups.values() for name in several}
    chosen = [
        (Layer.kind == kind) & Layer.name.in_(sorted(some))
        for kind, some in ((AREA, areas), (GROUP, names), (NODE, {node.id for node in nodes}))
        if some
    ]
    if not chosen:
        return {}
    rows = session.scalars(select(Layer).where(or_(*chosen), Layer.content != "{}"))
    return {(row.kind, row.name, row.role): json.loads(row.content) for row in rows}
