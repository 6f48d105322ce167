"""From layers to nodes: a patch for each node whose wanted values changed, and for no other.

A change begins work at its target's first node; `step` does some nodes more. Each call is one
transaction of the caller's, and what it does is proportional to the nodes that it concerns.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session

from fleet.control.configuration import applied
from fleet.control.desired_tables import DesiredNode, Work
from fleet.control.sending import State, send, written
from fleet.control.stack import Wish, stacks
from fleet.control.targets import AREA, NODE, Target, nodes_of
from fleet.registry.tables import Terminal

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
    states: list[State] = []
    for node, wanted in stacks(session, node_ids):
        row = known.get(node.id)
        sent, waiting = (json.loads(row.sent), json.loads(row.waiting)) if row else ({}, [])
        states.append(State(node, _values(wanted), sent, waiting, _patch(wanted, sent)))
    patched = send(session, [state for state in states if state.patch])
    rows: list[dict[str, object]] = []
    for state in states:
        drifting = bool(state.patch) or (
            bool(state.sent)
            and bool(_differences(session, state.node.id, state.values, state.sent))
        )
        rows.append(
            {
                "node_id": state.node.id, "area": state.node.area, "role": state.node.role,
                "sent": written(state.sent), "waiting": json.dumps(state.waiting),
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
    session.execute(update(DesiredNode), [{"node_id": node_id, "sent": written(sent)}])
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
