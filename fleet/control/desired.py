"""From layers to nodes: a patch for each node whose wanted values changed, and for no other.

A change begins work at its target's first node; `step` does some nodes more. Each call is one
transaction of the caller's, and what it does is proportional to the nodes that it concerns.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from fleet.control.configuration import MAX_PATCH, applied, configure
from fleet.control.desired_tables import DesiredNode, Work
from fleet.control.errors import ControlError
from fleet.control.stack import Wish, stacks
from fleet.control.tables import Downlink
from fleet.control.targets import NODE, Target, nodes_of
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
    row = Work(kind=target.kind, name=target.name, role=target.role, after="")
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
    rows = {
        row.node_id: row
        for row in session.scalars(
            select(DesiredNode)
            .where(DesiredNode.node_id.in_(list(node_ids)))
            .order_by(DesiredNode.node_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    patched = 0
    for node, wanted in stacks(session, node_ids):
        row = rows.get(node.id)
        if row is None:
            row = DesiredNode(node_id=node.id, sent="{}", waiting="[]", drifting=False)
            session.add(row)
        row.area, row.role = node.area, node.role
        patched += _reconcile(session, row, wanted)
    session.flush()
    return patched


def resend(session: Session, node_id: str) -> int:
    """Queue once more what a node does not report as it is wanted; how many keys.

    For a refusal whose cause is gone: nothing that was refused is sent again by itself.
    """
    row = session.get(DesiredNode, node_id, populate_existing=True)
    if row is None:
        reconcile(session, [node_id])
        row = session.get_one(DesiredNode, node_id)
    missing = differences(session, node_id)
    sent = json.loads(row.sent)
    for key, (_wanted, has) in missing.items():
        sent[key] = _AGAIN if has is None else has
    row.sent = json.dumps(sent)
    session.flush()
    reconcile(session, [node_id])
    return len(missing)


def differences(session: Session, node_id: str) -> dict[str, tuple[Any, Any]]:
    """Key -> (wanted, reported) of what a node does not report as it is wanted; None: absent."""
    row = session.get(DesiredNode, node_id)
    sent = json.loads(row.sent) if row is not None else {}
    for _node, wanted in stacks(session, [node_id]):
        return _differences(session, node_id, _values(wanted), sent)
    return {}


_AGAIN = {"": "again"}  # no value of a key: it is always sent anew


def _reconcile(session: Session, row: DesiredNode, wanted: Mapping[str, Wish]) -> int:
    values, sent = _values(wanted), json.loads(row.sent)
    patch = {key: value for key, value in values.items() if _differ(sent.get(key), value)}
    patch |= {key: None for key in sent if key not in values and sent[key] is not None}
    if not patch:
        row.drifting = bool(sent) and bool(_differences(session, row.node_id, values, sent))
        return 0
    row.drifting = True
    try:
        with session.begin_nested():
            earlier = _unsent(session, row)
            numbers = [
                configure(session, row.node_id, part) for part in _parts({**earlier, **patch})
            ]
    except ControlError:  # its queue is full: again when it has told that it took something
        return 0
    row.sent = json.dumps({**sent, **patch}, ensure_ascii=False, sort_keys=True)
    row.waiting = json.dumps(numbers)
    return 1


def _unsent(session: Session, row: DesiredNode) -> dict[str, Any]:
    """What of its patches was in no answer yet, taken back from the queue."""
    found = session.execute(
        update(Downlink)
        .where(
            Downlink.node_id == row.node_id,
            Downlink.number.in_(json.loads(row.waiting)),
            Downlink.handed_us.is_(None),
            Downlink.settled_us.is_(None),
            Downlink.expires_us.is_(None),
        )
        .values(expires_us=now_us())
        .returning(Downlink.number, Downlink.payload)
        .execution_options(synchronize_session=False)
    ).all()
    patch: dict[str, Any] = {}
    for _number, payload in sorted((number, payload) for number, payload in found):
        content = cbor.decode(payload)
        if isinstance(content, dict):
            patch.update(content)
    return patch


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
    query = nodes_of(target).where(Terminal.id > row.after).order_by(Terminal.id).limit(STEP)
    nodes = list(session.scalars(query))
    if len(nodes) < STEP:
        session.delete(row)
    else:
        row.after = nodes[-1]
    return reconcile(session, nodes)
