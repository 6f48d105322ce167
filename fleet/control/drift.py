"""Which nodes do not report what is wanted of them, key by key, and why."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.control.configuration import applied
from fleet.control.desired import differences
from fleet.control.desired_tables import DesiredNode
from fleet.control.operations import CONFIG
from fleet.control.stack import stacks
from fleet.control.tables import Downlink
from fleet.registry.operations import show_node
from fleet.registry.tables import Terminal
from fleet.wire import cbor

PAGE = 1000
ON_ITS_WAY, HANDED, REFUSED, UNSAID = "on-its-way", "handed", "refused", "unsaid"


class Newest(NamedTuple):
    """A node's newest patch: `state` is one of the above; `keys` are those that it sets."""

    number: int
    state: str
    result: int | None
    detail: int | None
    keys: list[str]


class Drifting(NamedTuple):
    """A node that drifts; `differences`: key -> (wanted, reported), None: absent."""

    node: str
    role: str
    area: str
    newest: Newest | None
    differences: dict[str, tuple[Any, Any]]


class Key(NamedTuple):
    """What is wanted of a node by which layer, and what it reports; None: nothing."""

    key: str
    wanted: Any
    of: str
    reported: Any


def list_(
    session: Session, *, area: str = "", role: str = "", after: str = "", limit: int = PAGE
) -> list[Drifting]:
    """Nodes that drift by id, those behind `after`; `area` takes all whose code begins so."""
    query = (
        select(Terminal.id, Terminal.role, Terminal.area_code)
        .join(DesiredNode, DesiredNode.node_id == Terminal.id)
        .where(DesiredNode.drifting, Terminal.id > after)
    )
    if area:
        query = query.where(Terminal.area_code.startswith(area, autoescape=True))
    if role:
        query = query.where(Terminal.role == role)
    rows = session.execute(query.order_by(Terminal.id).limit(min(limit, PAGE))).all()
    patches = newest(session, [row[0] for row in rows])
    return [Drifting(*row, patches.get(row[0]), differences(session, row[0])) for row in rows]


def count(session: Session) -> int:
    """How many nodes drift."""
    found = session.scalar(
        select(func.count()).select_from(DesiredNode).where(DesiredNode.drifting)
    )
    return found or 0


def keys_of(session: Session, node_id: str) -> list[Key]:
    """Every key that is wanted of a node or reported by it, by name."""
    show_node(session, node_id)
    has = applied(session, node_id).values
    wanted = next((found for _node, found in stacks(session, [node_id])), {})
    return [
        Key(
            key,
            wanted[key].value if key in wanted else None,
            str(wanted[key].of) if key in wanted else "",
            has.get(key),
        )
        for key in sorted({*wanted, *has})
    ]


def newest(session: Session, node_ids: Sequence[str]) -> dict[str, Newest]:
    """The newest patch of each node that ever had one and that was not taken back."""
    last = (
        select(Downlink.node_id, func.max(Downlink.number).label("number"))
        .where(
            Downlink.node_id.in_(list(node_ids)),
            Downlink.kind == CONFIG,
            Downlink.expires_us.is_(None) | Downlink.handed_us.is_not(None),
        )
        .group_by(Downlink.node_id)
        .subquery()
    )
    rows = session.execute(
        select(
            Downlink.node_id, Downlink.number, Downlink.payload, Downlink.refused,
            Downlink.settled_us, Downlink.handed_us, Downlink.result, Downlink.detail,
        ).join(
            last, (last.c.node_id == Downlink.node_id) & (last.c.number == Downlink.number)
        )
    )  # fmt: skip
    found = {}
    for row in rows:
        state = ON_ITS_WAY
        if row.refused:
            state = REFUSED
        elif row.settled_us is not None:
            state = UNSAID
        elif row.handed_us is not None:
            state = HANDED
        patch = cbor.decode(row.payload)
        keys = [str(key) for key in patch] if isinstance(patch, dict) else []
        found[row.node_id] = Newest(row.number, state, row.result, row.detail, keys)
    return found
