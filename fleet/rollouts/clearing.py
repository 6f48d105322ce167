"""What ends many updates at once that nobody has begun: in one statement, some thousand a call."""

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fleet.rollouts import counting, states
from fleet.rollouts.errors import MoveError
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import RolloutGroup, Update

MOST = 10_000


def drop_unmade(session: Session, rollout_id: int) -> int:
    """Forget updates of a rollout whose making did not end: it has no groups; how many."""
    has_groups = select(RolloutGroup.number).where(RolloutGroup.rollout_id == rollout_id).limit(1)
    if session.scalar(has_groups) is not None:
        return 0
    some = select(Update.id).where(Update.rollout_id == rollout_id).limit(MOST)
    ids = session.scalars(some).all()
    for start in range(0, len(ids), 500):
        session.execute(
            delete(Update)
            .where(Update.id.in_(ids[start : start + 500]))
            .execution_options(synchronize_session=False)
        )
    return len(ids)


def end_scheduled(
    session: Session, rollout_id: int, to: str, actor: Actor, reason: str, now_us: int
) -> int:
    """Move scheduled updates to a state that ends them, and let what failed stay so; how many
    were looked at: call it again until it is 0.
    """
    if not states.may(actor, states.SCHEDULED, to):
        raise MoveError(f"{actor} never moves a scheduled update to {to!r}")
    waiting = (
        select(Update.id)
        .where(Update.rollout_id == rollout_id, Update.due_us.is_not(None))
        .limit(MOST)
        .with_for_update()
    )
    ids = session.scalars(waiting).all()
    for start in range(0, len(ids), 500):
        part = Update.id.in_(ids[start : start + 500])
        mine = (part, Update.state == states.SCHEDULED)
        counts = session.execute(
            select(Update.group_no, func.count(), func.count().filter(Update.attempts > 0))
            .where(*mine)
            .group_by(Update.group_no)
        ).all()
        session.execute(
            update(Update)
            .where(*mine)
            .values(
                state=to, reason=reason, moved_us=now_us, due_us=None,
                history=Update.history + f"{now_us} {to} {actor} {reason}\n",
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip
        session.execute(
            update(Update)
            .where(part)
            .values(due_us=None)
            .execution_options(synchronize_session=False)
        )
        for group_no, count, erring in counts:
            counting.add(
                session,
                [
                    ((rollout_id, group_no, states.SCHEDULED), -count),
                    ((rollout_id, group_no, to), count),
                ],
            )
            if erring and not states.is_error(to, 1):
                session.execute(
                    update(RolloutGroup)
                    .where(RolloutGroup.rollout_id == rollout_id, RolloutGroup.number == group_no)
                    .values(errors=RolloutGroup.errors - erring)
                )
    session.flush()
    session.expire_all()  # rows that somebody holds are not as they were
    return len(ids)
