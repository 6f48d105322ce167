"""States of a rollout, and what a person may do to it; in the caller's transaction."""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.control.persons import check_person, same
from fleet.registry.operations import now_us
from fleet.rollouts import events, pace, target
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.tables import Rollout

CREATING: Final = "creating"
WAITING: Final = "waiting"  # for a second person's approval
READY: Final = "ready"
RUNNING: Final = "running"
PAUSED: Final = "paused"
STOPPED: Final = "stopped"  # by its errors
CANCELING: Final = "canceling"
CANCELED: Final = "canceled"
FINISHED: Final = "finished"
STATES: Final = (
    CREATING, WAITING, READY, RUNNING, PAUSED, STOPPED, CANCELING, CANCELED, FINISHED,
)  # fmt: skip
OVER: Final = (CANCELED, FINISHED)
ACTIVE: Final = (RUNNING, PAUSED, STOPPED)  # they hold a slot
AT_ONCE: Final = 10  # rollouts that are active; one more slot is kept for an urgent one


def find(session: Session, name: str) -> Rollout:
    """A rollout by its id or its name, locked; RolloutError."""
    mine = Rollout.name == name
    if name.isascii() and name.isdecimal() and len(name) < 10:
        mine = Rollout.id == int(name)
    row = session.scalar(
        select(Rollout).where(mine).with_for_update().execution_options(populate_existing=True)
    )
    if row is None:
        raise RolloutError(f"no rollout {name[:40]!r}: kapok rollout list")
    return row


def approve(
    session: Session, row: Rollout, person: str, *, account: str, one_account: bool = False
) -> None:
    """A second person wants it too, under another account unless `one_account`."""
    who = check_person(person)
    if not row.valve:
        raise RolloutError(f"rollout {row.name} needs no approval: no node of it has a valve")
    if row.approved_us is not None:
        raise RolloutError(f"rollout {row.name} was approved by {row.approved_by} already")
    expect(row, "approved", WAITING)
    if same(row.asked_by, who):
        raise RolloutError(
            f"rollout {row.name} was made by {row.asked_by}: another person approves it"
        )
    if row.asked_account == account[:64] and not one_account:
        raise RolloutError(
            f"rollout {row.name} was made under the account {row.asked_account}: another person "
            "approves it under another account"
        )
    row.approved_by, row.approved_account, row.approved_us = who, account[:64], now_us()
    row.state = READY
    events.note(session, row.id, now_us(), "approved", who)


def start(session: Session, row: Rollout, person: str) -> None:
    """From now on it makes offers."""
    who = check_person(person)
    if row.state == WAITING:
        raise RolloutError(
            f"rollout {row.name} waits for a second person: kapok rollout approve {row.name}"
        )
    expect(row, "started", READY)
    target.aim(session, row.sequence, now_us())  # it may have been revoked since
    check_slot(session, row)
    row.state, row.why, row.started_us = RUNNING, "", now_us()
    row.due_us = row.started_us
    row.budget, row.budget_us = 0, row.started_us - pace.MINUTE_US  # a minute's worth at once
    events.note(session, row.id, row.started_us, "started", who)


def pause(session: Session, row: Rollout, person: str) -> None:
    """No more offers, and those that no node has taken yet are taken back by the tick; what nodes
    have taken goes on.
    """
    who = check_person(person)
    expect(row, "paused", RUNNING)
    row.state, row.why, row.due_us = PAUSED, "", now_us()
    events.note(session, row.id, now_us(), "paused", who)


def pause_all(session: Session, person: str) -> int:
    """The emergency stop: no rollout makes an offer any more; how many did."""
    rows = session.scalars(select(Rollout).where(Rollout.state == RUNNING).with_for_update()).all()
    for row in rows:
        pause(session, row, person)
    return len(rows)


def resume(session: Session, row: Rollout, person: str) -> None:
    """On with it, after a pause."""
    who = check_person(person)
    if row.state == STOPPED:
        raise RolloutError(
            f"rollout {row.name} was stopped by its errors: kapok rollout retry {row.name} tries "
            f"them again, kapok rollout cancel {row.name} ends it"
        )
    expect(row, "resumed", PAUSED)
    target.aim(session, row.sequence, now_us())
    row.state, row.why, row.due_us = RUNNING, "", now_us()
    events.note(session, row.id, now_us(), "resumed", who)


def cancel(session: Session, row: Rollout, person: str) -> None:
    """End it: what was not offered never is, and what was is taken back, some at a time."""
    who = check_person(person)
    if row.state in (CANCELING, *OVER):
        raise RolloutError(f"rollout {row.name} is {row.state} already")
    row.state, row.why, row.due_us = CANCELING, "", now_us()
    events.note(session, row.id, now_us(), "canceled", who)


def expect(row: Rollout, act: str, *wanted: str) -> None:
    """RolloutError unless it is in one of these states."""
    if row.state not in wanted:
        raise RolloutError(
            f"rollout {row.name} is {row.state}: only one that is {' or '.join(wanted)} is {act}"
        )


def check_slot(session: Session, row: Rollout) -> None:
    """RolloutError where too many are active beside it."""
    active = (
        session.scalar(select(func.count()).select_from(Rollout).where(Rollout.state.in_(ACTIVE)))
        or 0
    )
    most = AT_ONCE + (1 if row.urgent else 0)
    if active >= most:
        kept = "" if row.urgent else "; one slot more is kept for an urgent one"
        raise RolloutError(f"{active} rollouts are active{kept}: cancel one, kapok rollout list")
