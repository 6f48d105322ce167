"""Trying again what failed, and only that; a rollout that was stopped, or is over, goes on."""

from sqlalchemy import literal_column, select, update
from sqlalchemy.orm import Session

from fleet.control.persons import check_person
from fleet.db.base import Database
from fleet.registry.operations import now_us
from fleet.rollouts import events, filling, lifecycle, moves, states, target
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.gate import Verdict
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, RolloutCohort, RolloutGroup, Update
from fleet.rollouts.weighing import Weighing

CHUNK = 1000  # updates of one transaction
# What a node refused is refused for good.
_RETRIED = (states.FAILED, states.TIMED_OUT, states.LOST, states.ROLLED_BACK)
_GOES_ON = (lifecycle.STOPPED, lifecycle.FINISHED)


def retry(database: Database, name: str, person: str) -> int:
    """Schedule anew what failed in a rollout, some at a time; how many. RolloutError where that
    helps nothing.
    """
    who = check_person(person)
    total, more = 0, True
    while more:
        with database.begin() as session:
            row = lifecycle.find(session, name)
            done, more = _some(session, row, who, is_first=not total)
        total += done
    return total


def _some(session: Session, row: Rollout, who: str, *, is_first: bool) -> tuple[int, bool]:
    lifecycle.expect(row, "retried", lifecycle.RUNNING, lifecycle.PAUSED, *_GOES_ON)
    found = session.scalars(
        select(Update.id)
        .where(
            Update.rollout_id == row.id, Update.state.in_(_RETRIED),
            Update.reason != literal_column("''"),  # as the index has it
        )
        .limit(CHUNK + 1)
    ).all()  # fmt: skip
    now, more = now_us(), len(found) > CHUNK
    if row.state == lifecycle.FINISHED and not found:
        raise RolloutError(f"rollout {row.name} is finished, and nothing of it can be tried again")
    done = moves.move(session, found[:CHUNK], states.SCHEDULED, Actor.PERSON, now, "retry")
    if is_first and (done or row.state == lifecycle.STOPPED):
        # What was counted against the release is forgiven: it is weighed anew.
        session.execute(
            update(RolloutCohort)
            .where(RolloutCohort.rollout_id == row.id)
            .values(offered=RolloutCohort.offered - RolloutCohort.bad, bad=0)
        )
    if done:
        events.note(session, row.id, now, "retried", who, {"nodes": len(done)})
    if row.state in _GOES_ON and not more:
        _go_on(session, row, now)
    return len(done), more


def _go_on(session: Session, row: Rollout, now_us: int) -> None:
    target.aim(session, row.sequence, now_us)
    if row.state == lifecycle.FINISHED:
        lifecycle.check_slot(session, row)
        _open_last(session, row)
        row.started_us, row.ended_us = now_us, None  # its time begins anew
    elif Weighing(session, row, now_us).judge()[0] is Verdict.STOP:
        raise RolloutError(
            f"too many nodes of rollout {row.name} refused the release for good: kapok rollout "
            f"cancel {row.name}"
        )
    row.state, row.why, row.due_us = lifecycle.RUNNING, "", now_us


def _open_last(session: Session, row: Rollout) -> None:
    last = session.scalars(
        select(RolloutGroup)
        .where(RolloutGroup.rollout_id == row.id)
        .order_by(RolloutGroup.number.desc())
        .limit(1)
    ).one()
    row.group_no, last.state, last.closed_us = last.number, filling.OPEN, None
    last.opened_us = last.opened_us or now_us()
