"""Late joiners: nodes that were registered, or told what they run, since a rollout looked last."""

from sqlalchemy import exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from fleet.registry.tables import Terminal
from fleet.rollouts import counting, filling, states, target
from fleet.rollouts.tables import Rollout, RolloutGroup, Update
from fleet.updates.tables import Running

EVERY_US = 60 * 1_000_000
MOST = 1000


def join(session: Session, row: Rollout, what: target.Aim, now_us: int) -> int:
    """Put those that a rollout is for into its last group; how many. Behind all places of it, in
    the order in which they came.
    """
    until = _until(session, row.joined_us, now_us)
    found = session.execute(
        target.chosen(target.grounds(what, row.query, now_us), Terminal.id, target.CELL)
        .where(
            or_(
                (Terminal.added_us > row.joined_us) & (Terminal.added_us <= until),
                Terminal.id.in_(
                    select(Running.node_id).where(
                        Running.since_us > row.joined_us, Running.since_us <= until
                    )
                ),
            ),
            ~exists()
            .where(Update.node_id == Terminal.id, Update.rollout_id == row.id)
            .correlate(Terminal),
        )
        .order_by(Terminal.added_us, Terminal.id)
    ).all()
    row.joined_us = until
    last = session.scalars(
        select(RolloutGroup)
        .where(RolloutGroup.rollout_id == row.id)
        .order_by(RolloutGroup.number.desc())
        .limit(1)
    ).one()
    if last.name != filling.LATE or not found:
        return 0
    rows = [
        filling.row(row.id, last.number, row.total + n, node_id, cell, row.sequence)
        for n, (node_id, cell) in enumerate(found, 1)
    ]
    session.execute(insert(Update), rows)
    row.total += len(rows)
    session.execute(
        update(RolloutGroup)
        .where(RolloutGroup.rollout_id == row.id, RolloutGroup.number == last.number)
        .values(total=RolloutGroup.total + len(rows))
    )
    counting.add(session, [((row.id, last.number, states.SCHEDULED), len(rows))])
    return len(rows)


def _until(session: Session, since_us: int, now_us: int) -> int:
    """Up to when one look goes: no further than some thousand nodes."""
    ends = [now_us]
    for column in (Terminal.added_us, Running.since_us):
        some = select(column.label("at")).where(column > since_us).order_by(column).limit(MOST)
        newest, count = session.execute(select(func.max(some.subquery().c.at), func.count())).one()
        if count == MOST and newest is not None:
            ends.append(newest)
    return min(ends)
