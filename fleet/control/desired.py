"""From layers to nodes: a patch for each node whose wanted values changed, and for no other.

A change begins work at its target's first node; `step` does some nodes more. Each call is one
transaction of the caller's, and what it does is proportional to the nodes that it concerns.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from fleet.control.configuration import MAX_PATCH, applied
from fleet.control.desired_tables import DesiredNode, Work
from fleet.control.operations import CONFIG, enqueue_many
from fleet.control.stack import Node, Wish, stacks
from fleet.control.tables import Downlink
from fleet.control.targets import AREA, NODE, Target, nodes_of
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal
from fleet.wire import cbor

STEP = 300  # nodes of one call


def begin(session: Session, target: Target) -> int:
    """Something is wanted otherwise of a target: how many nodes got a patch at once."""
    if target.kind == NODE:
        return reconcile(session, [target.name])
    session.execute(
        delete(Work).where(
            Work.kind == target.kind, Work.name == target.name, Work.role == target.role
        )
    )
    row = Work(kind=target.kind, name=target.name, role=target.role, after="", after_area="")
    session.add(row)
    session.flush()
    return _work(session, row)


def waits(session: Session) -> bool:
    """Whether `step` has something to do."""
    return session.scalar(select(Work.id).limit(1)) is not None


def step(session: Session) -> int:
    """Bring the next nodes of the oldest change in line; how many got a patch."""
    row = session.scalar(select(Work).order_by(Work.id).limit(1).with_for_update())
    return 0 if row is None else _work(session, row)


def look(session: Session, node_ids: Iterable[str]) -> None:
    """Nodes that report: those that are new, or were moved to another area or role since, are
    brought in line before they are answered.
    """
    node_ids = list(node_ids)
    if not node_ids:
        return
    changed = session.scalars(
        select(Terminal.id)
        .outerjoin(DesiredNode, DesiredNode.node_id == Terminal.id)
        .where(
            Terminal.id.in_(node_ids),
            or_(
                DesiredNode.node_id.is_(None),
                DesiredNode.area != Terminal.area_code,
                DesiredNode.role != Terminal.role,
            ),
        )
    ).all()
    if changed:
        reconcile(session, changed)


def told(session: Session, node_ids: Iterable[str]) -> None:
    """Nodes told something new of their items: whether they are in line now."""
    node_ids = list(node_ids)
    if not node_ids:
        return
    known = session.scalars(
        select(DesiredNode.node_id).where(DesiredNode.node_id.in_(list(node_ids)))
    ).all()
    if known:
        reconcile(session, known)


def reconcile(session: Session, node_ids: Sequence[str]) -> int:
    """Queue for each node what is wanted of it and was not sent; how many got a patch.

    What it may not have been handed yet of earlier patches goes into the new one: a node that
    sleeps through ten changes gets one.
    """
    if not node_ids:
        return 0
    session.flush()
    known = {row.node_id: row for row in session.execute(_state(node_ids))}
    states: list[_State] = []
    for node, wanted in stacks(session, node_ids):
        row = known.get(node.id)
        sent, waiting = (json.loads(row.sent), json.loads(row.waiting)) if row else ({}, [])
        states.append(_State(node, _values(wanted), sent, waiting, _patch(wanted, sent)))
    patched = _send(session, [state for state in states if state.patch])
    rows: list[dict[str, object]] = []
    for state in states:
        drifting = bool(state.patch) or (
            bool(state.sent)
            and bool(_differences(session, state.node.id, state.values, state.sent))
        )
        rows.append(
            {
                "node_id": state.node.id, "area": state.node.area, "role": state.node.role,
                "sent": _written(state.sent), "waiting": json.dumps(state.waiting),
                "drifting": drifting,
            }
        )  # fmt: skip
    old = [row for row in rows if row["node_id"] in known]
    new = [row for row in rows if row["node_id"] not in known]
    if old:
        session.execute(update(DesiredNode), old)
    if new:
        session.execute(insert(DesiredNode), new)
    return patched


def resend(session: Session, node_id: str) -> int:
    """Queue once more what a node does not report as it is wanted; how many keys.

    For a refusal whose cause is gone: nothing that was refused is sent again by itself.
    """
    reconcile(session, [node_id])
    missing = differences(session, node_id)
    row = session.execute(_state([node_id])).one()
    sent = json.loads(row.sent)
    for key, (_wanted, has) in missing.items():
        sent[key] = _AGAIN if has is None else has
    session.execute(update(DesiredNode), [{"node_id": node_id, "sent": _written(sent)}])
    reconcile(session, [node_id])
    return len(missing)


def differences(session: Session, node_id: str) -> dict[str, tuple[Any, Any]]:
    """Key -> (wanted, reported) of what a node does not report as it is wanted; None: absent."""
    row = session.execute(_state([node_id])).first()
    sent = json.loads(row.sent) if row is not None else {}
    for _node, wanted in stacks(session, [node_id]):
        return _differences(session, node_id, _values(wanted), sent)
    return {}


_AGAIN = {"": "again"}  # no value of a key: it is always sent anew


@dataclass
class _State:
    """A node on its way into line: what is wanted, what was sent, and what is to be sent now."""

    node: Node
    values: dict[str, Any]
    sent: dict[str, Any]
    waiting: list[int]
    patch: dict[str, Any]


def _state(node_ids: Sequence[str]) -> Select[str, str, str]:
    # Columns, no objects: a session looks at each of its objects before each statement.
    return (
        select(DesiredNode.node_id, DesiredNode.sent, DesiredNode.waiting)
        .where(DesiredNode.node_id.in_(list(node_ids)))
        .order_by(DesiredNode.node_id)
        .with_for_update()
    )


def _patch(wanted: Mapping[str, Wish], sent: Mapping[str, Any]) -> dict[str, Any]:
    values = _values(wanted)
    patch = {key: value for key, value in values.items() if _differ(sent.get(key), value)}
    withdrawn = (key for key in sent if key not in values and sent[key] is not None)
    return {**patch, **dict.fromkeys(withdrawn)}


def _send(session: Session, states: Sequence[_State]) -> int:
    """Queue their patches, each with what of the earlier ones was in no answer yet."""
    if not states:
        return 0
    unsent = _unsent(session, states)
    parts = {
        state.node.id: [
            cbor.encode(part)
            for part in _parts({**_merged(unsent.get(state.node.id, [])), **state.patch})
        ]
        for state in states
    }
    spared = {node_id: len(items) for node_id, items in unsent.items()}
    # A node whose queue is full is left out, and tried again when it has taken something.
    numbers = enqueue_many(session, CONFIG, parts, spared=spared)
    back = [(node_id, n) for node_id in numbers for n, _payload in unsent.get(node_id, [])]
    if back:
        session.execute(
            update(Downlink)
            .where(tuple_(Downlink.node_id, Downlink.number).in_(back))
            .values(expires_us=now_us())
            .execution_options(synchronize_session=False)
        )
    for state in states:
        if state.node.id in numbers:
            state.sent = {**state.sent, **state.patch}
            state.waiting = numbers[state.node.id]
    return len(numbers)


def _unsent(session: Session, states: Sequence[_State]) -> dict[str, list[tuple[int, bytes]]]:
    """Of each node its patches that were in no answer yet, by number."""
    keys = [(state.node.id, number) for state in states for number in state.waiting]
    found: dict[str, list[tuple[int, bytes]]] = {}
    if keys:
        rows = session.execute(
            select(Downlink.node_id, Downlink.number, Downlink.payload)
            .where(
                tuple_(Downlink.node_id, Downlink.number).in_(keys),
                Downlink.handed_us.is_(None),
                Downlink.settled_us.is_(None),
                Downlink.expires_us.is_(None),
            )
            .order_by(Downlink.node_id, Downlink.number)
            .with_for_update()
        )
        for node_id, number, payload in rows:
            found.setdefault(node_id, []).append((number, payload))
    return found


def _merged(items: Sequence[tuple[int, bytes]]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for _number, payload in items:
        content = cbor.decode(payload)
        if isinstance(content, dict):
            patch.update({str(key): value for key, value in content.items()})
    return patch


def _written(sent: Mapping[str, Any]) -> str:
    return json.dumps(sent, ensure_ascii=False, sort_keys=True)


def _parts(patch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In as many patches as fit into receipts, by key."""
    parts: list[dict[str, Any]] = [{}]
    for key in sorted(patch):
        longer = {**parts[-1], key: patch[key]}
        if parts[-1] and len(cbor.encode(longer)) > MAX_PATCH:
            parts.append({})
            longer = {key: patch[key]}
        parts[-1] = longer
    return parts


def _differences(
    session: Session, node_id: str, values: Mapping[str, Any], sent: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    has = applied(session, node_id).values
    mine = set(values) | {key for key in sent if sent[key] is None}
    return {
        key: (values.get(key), has.get(key))
        for key in sorted(mine)
        if _differ(values.get(key), has.get(key))
    }


def _values(wanted: Mapping[str, Wish]) -> dict[str, Any]:
    return {key: wish.value for key, wish in wanted.items()}


def _differ(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)  # 1 is not true


def _work(session: Session, row: Work) -> int:
    target = Target(row.kind, row.name, row.role)
    query = nodes_of(target).add_columns(Terminal.area_code).limit(STEP)
    if row.kind == AREA:  # along its index: an area may be the whole city
        place = tuple_(Terminal.area_code, Terminal.id)
        query = query.where(place > (row.after_area, row.after))
        query = query.order_by(Terminal.area_code, Terminal.id)
    else:
        query = query.where(Terminal.id > row.after).order_by(Terminal.id)
    found = session.execute(query).all()
    if len(found) < STEP:
        session.delete(row)
    else:
        row.after, row.after_area = found[-1]
    return reconcile(session, [node_id for node_id, _area in found])
