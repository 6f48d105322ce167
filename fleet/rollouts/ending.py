"""How rollouts end, and how what is out is taken back, some at a time."""

from collections.abc import Sequence

from sqlalchemy import literal_column, select, update
from sqlalchemy.orm import Session

from fleet.rollouts import clearing, events, filling, lifecycle, offering, states
from fleet.rollouts.offering import Offerer
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, RolloutGroup, Update

_AT_ONCE = 500  # offers that are taken back in one transaction


def cancel_some(session: Session, offerer: Offerer, row: Rollout, now_us: int) -> None:
    """Of one that a person cancels, or whose release was revoked; in the end it is over."""
    row.due_us = now_us
    if row.group_no == 0 and clearing.drop_unmade(session, row.id):
        return
    if clearing.end_scheduled(session, row.id, states.CANCELED, Actor.PERSON, "canceled", now_us):
        return
    flying = _flying(session, row.id, states.OPEN)
    if flying:
        offering.take_back(
            session, offerer, flying, states.CANCELED, Actor.PERSON, "canceled", now_us
        )
        return
    _over(session, row, lifecycle.CANCELED, now_us)


def take_back_some(
    session: Session, offerer: Offerer, row: Rollout, now_us: int, reason: str = "stopped"
) -> None:
    """What no node has taken yet waits again; once nothing is left the rollout is due no more."""
    flying = _flying(session, row.id, [states.OFFERED])
    row.due_us = now_us if flying else None
    if flying:
        offering.take_back(session, offerer, flying, states.SCHEDULED, Actor.FLEET, reason, now_us)


def finish(session: Session, row: Rollout, now_us: int) -> None:
    """Nothing is left to do; `why` tells where not everybody was reached in its time."""
    let_go = session.scalar(
        select(Update.reason)
        .where(
            Update.rollout_id == row.id, Update.state == states.REMOVED,
            Update.reason.in_(("too-late", "expired")),
            Update.reason != literal_column("''"),  # as the index has it
        )
        .limit(1)
    )  # fmt: skip
    row.why = let_go or ""
    session.execute(
        update(RolloutGroup)
        .where(RolloutGroup.rollout_id == row.id, RolloutGroup.state == filling.WAITING)
        .values(state=filling.NEVER)
    )
    # What failed, and is not tried again by itself any more.
    session.execute(
        update(Update)
        .where(Update.rollout_id == row.id, Update.due_us.is_not(None))
        .values(due_us=None)
        .execution_options(synchronize_session=False)
    )
    _over(session, row, lifecycle.FINISHED, now_us)


def _flying(session: Session, rollout_id: int, several: Sequence[str]) -> Sequence[int]:
    return session.scalars(
        select(Update.id)
        .where(
            Update.rollout_id == rollout_id, Update.open_for.is_not(None),
            Update.state.in_(several),
        )
        .limit(_AT_ONCE)
    ).all()  # fmt: skip


def _over(session: Session, row: Rollout, state: str, now_us: int) -> None:
    row.state, row.due_us, row.ended_us = state, None, now_us
    events.note(session, row.id, now_us, state)
