"""Commands and deliveries as people see them."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import and_, case, func, literal, select
from sqlalchemy.orm import Session

from fleet.control.catalogue import name_of
from fleet.control.command_tables import Command, Delivery
from fleet.control.ends import APPROVAL_ENDED, EXPIRED, QUEUED, UNAPPROVED
from fleet.control.errors import ControlError
from fleet.registry.operations import now_us

PAGE = 1000  # rows of any list at most


class Listed(NamedTuple):
    """A command; times in us since 1970 UTC. `state`: waiting (for its approval), running, over,
    cancelled or expired; `nodes`: how many are in which state.
    """

    id: int
    name: str
    arguments: list[int]
    target: str
    state: str
    asked_by: str
    asked_us: int
    approved_by: str | None
    approved_us: int | None
    until_us: int
    cancelled_by: str | None
    per_minute: int
    total: int
    nodes: Mapping[str, int]


class Part(NamedTuple):
    """A node's part. `why` is the key of a text where no `result` of the node's says more;
    `trust` is that of the record with the result, 0: it came by a technician's file.
    """

    node: str
    state: str
    why: str
    number: int | None
    result: int | None
    detail: int | None
    trust: int | None
    delivered_us: int | None
    ended_us: int | None


def list_(
    session: Session, *, history: bool = False, node_id: str = "", before: int = 0,
    limit: int = PAGE,
) -> list[Listed]:  # fmt: skip
    """Commands, the newest first, those below `before` where it is not 0; only those that are not
    over unless `history`; only those for `node_id` where there is one.
    """
    query = select(Command)
    if before:
        query = query.where(Command.id < before)
    if not history:
        query = query.where(Command.due_us.is_not(None))
    if node_id:
        mine = select(Delivery.command_id).where(Delivery.node_id == node_id)
        query = query.where(Command.id.in_(mine))
    rows = session.scalars(query.order_by(Command.id.desc()).limit(min(limit, PAGE))).all()
    counts = _counts(session, [row.id for row in rows])
    return [_listed(row, counts.get(row.id, {})) for row in rows]


def show(session: Session, identifier: int) -> Listed:
    """One command; ControlError when there is none."""
    row = session.get(Command, identifier, populate_existing=True)
    if row is None:
        raise ControlError(f"no command {identifier}: kapok command list --all")
    return _listed(row, _counts(session, [identifier]).get(identifier, {}))


def parts(
    session: Session, identifier: int, *, state: str = "", after: str = "", limit: int = PAGE
) -> list[Part]:
    """The nodes of a command by id, those behind `after`; only those in `state`, where given."""
    row = session.get_one(Command, identifier)
    why = UNAPPROVED if row.approved_us is None else APPROVAL_ENDED
    # What nobody has looked at yet: it is over all the same.
    is_dead = and_(literal(row.until_us <= now_us()), Delivery.state == QUEUED)
    now = case((is_dead, EXPIRED), else_=Delivery.state)
    said = case((is_dead, why), else_=Delivery.why)
    query = select(
        Delivery.node_id, now, said, Delivery.number, Delivery.result, Delivery.detail,
        Delivery.trust, Delivery.delivered_us, Delivery.ended_us,
    ).where(Delivery.command_id == identifier, Delivery.node_id > after)  # fmt: skip
    if state:
        query = query.where(now == state)
    rows = session.execute(query.order_by(Delivery.node_id).limit(min(limit, PAGE)))
    return [Part(*each) for each in rows]


def _counts(session: Session, identifiers: list[int]) -> dict[int, dict[str, int]]:
    rows = session.execute(
        select(Delivery.command_id, Delivery.state, func.count())
        .where(Delivery.command_id.in_(identifiers))
        .group_by(Delivery.command_id, Delivery.state)
    )
    found: dict[int, dict[str, int]] = {}
    for identifier, state, count in rows:
        found.setdefault(identifier, {})[state] = count
    return found


def _listed(row: Command, nodes: Mapping[str, int]) -> Listed:
    counts = dict(nodes)
    is_dead = row.until_us <= now_us()
    if is_dead and QUEUED in counts:
        counts[EXPIRED] = counts.get(EXPIRED, 0) + counts.pop(QUEUED)
    state = "running"
    if row.cancelled_by is not None:
        state = "cancelled"
    elif row.approved_us is None:
        state = "expired" if is_dead else "waiting"
    elif row.due_us is None:
        state = "over"
    return Listed(
        row.id, name_of(row.code), json.loads(row.arguments), row.target, state, row.asked_by,
        row.asked_us, row.approved_by, row.approved_us, row.until_us, row.cancelled_by,
        row.per_minute, row.total, counts,
    )  # fmt: skip
