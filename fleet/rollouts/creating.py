"""Make a rollout: check what is wanted, then fill its groups; killed anywhere, the same call makes
it whole.
"""

import re
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.control.persons import check_person
from fleet.db.base import Database
from fleet.registry.operations import now_us
from fleet.rollouts import events, filling, lifecycle, target
from fleet.rollouts import plan as plans
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.plan import Plan
from fleet.rollouts.tables import Rollout

_NAME = re.compile(r"[a-z][a-z0-9.-]{0,39}")


class Wanted(NamedTuple):
    """What a person asks for. `urgent` ones go first, need no window, and have a slot of their
    own beside those of all others.
    """

    name: str
    sequence: int
    query: str
    plan: Plan
    urgent: bool = False


class Made(NamedTuple):
    """The rollout; how many nodes it is for; whether a second person must approve it."""

    identifier: int
    nodes: int
    waits: bool


def create(
    database: Database, wanted: Wanted, person: str, *, account: str,
    progress: filling.Progress = lambda _done, _total: None,
) -> Made:  # fmt: skip
    """Make a rollout, which is started by nobody yet. RolloutError, QueryError, ReleaseError."""
    who = check_person(person)
    if not _NAME.fullmatch(wanted.name):
        raise RolloutError(
            f"rollout {wanted.name[:40]!r}: a name is a letter, then letters, digits, . and -"
        )
    plan = plans.check(wanted.plan)
    now = now_us()
    with database.read() as session:
        what = target.aim(session, wanted.sequence, now)
        _unused(session, wanted)
    grounds = target.grounds(what, wanted.query, now)
    node_ids, cells = filling.choose(database, grounds)
    if not node_ids and not plan.late:
        raise RolloutError(
            f"no node is left for release {wanted.sequence}: kapok rollout preview tells why"
        )
    with database.begin() as session:
        row = _unused(session, wanted)
        if row is None:
            row = Rollout(name=wanted.name, asked_us=0)
            session.add(row)
        row.asked_us = max(now, row.asked_us + 1)  # it tells our making from another's
        row.sequence, row.query, row.plan = wanted.sequence, wanted.query, plans.dumps(plan)
        row.state, row.why, row.urgent = lifecycle.CREATING, "", wanted.urgent
        row.valve, row.asked_by, row.asked_account = what.has_valve, who, account[:64]
        row.total, row.group_no, row.joined_us = len(node_ids), 0, now
        row.budget, row.budget_us, row.due_us = 0, now, None
        session.flush()
        identifier, ours = row.id, row.asked_us

    def mine(session: Session) -> Rollout:
        return _still(session, identifier, ours)

    filling.clear(database, identifier)
    filling.fill(database, identifier, wanted.sequence, plan, node_ids, cells, progress, mine)
    with database.begin() as session:
        row = mine(session)
        row.state = lifecycle.WAITING if row.valve else lifecycle.READY
        detail: dict[str, str | int] = {"nodes": len(node_ids), "release": wanted.sequence}
        events.note(session, identifier, now_us(), "created", who, detail)
    return Made(identifier, len(node_ids), what.has_valve)


def _still(session: Session, identifier: int, asked_us: int) -> Rollout:
    """The rollout, locked, while its making is the one that began then."""
    row = session.get_one(Rollout, identifier, with_for_update=True, populate_existing=True)
    if row.state in (lifecycle.CANCELING, lifecycle.CANCELED):
        raise RolloutError(f"rollout {row.name} was cancelled while it was made")
    if row.asked_us != asked_us:
        raise RolloutError(f"rollout {row.name} is being made by another: kapok rollout list")
    return row


def _unused(session: Session, wanted: Wanted) -> Rollout | None:
    """None, or what is left of an attempt that did not end; RolloutError for a name in use."""
    row = session.scalar(select(Rollout).where(Rollout.name == wanted.name))
    if row is not None and row.state != lifecycle.CREATING:
        raise RolloutError(f"there is a rollout {wanted.name} already: kapok rollout list")
    return row
