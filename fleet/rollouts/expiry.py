"""The two clocks of updates in flight: what ran out has timed out, or is lost where the node was
not heard of at all.
"""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from fleet.registry.tables import Terminal
from fleet.rollouts import moves, states
from fleet.rollouts.offering import Offerer
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update

MOST = 1000


def waits(session: Session, now_us: int) -> bool:
    """One look at an index."""
    return session.scalar(_over(now_us).limit(1)) is not None


def expire(session: Session, offerer: Offerer, now_us: int) -> int:
    """End what is over its time, some at a time; how many. Late nodes are told to drop it."""
    rows = session.scalars(
        select(Update)
        .where(Update.id.in_(_over(now_us).limit(MOST)), Update.open_for.is_not(None))
        .with_for_update(skip_locked=True)  # another process has those, or had
    ).all()
    if not rows:
        return 0
    nodes = [row.node_id for row in rows]
    told = select(Terminal.id, Terminal.last_report_us).where(Terminal.id.in_(nodes))
    heard = {node_id: at_us for node_id, at_us in session.execute(told)}  # noqa: C416
    silent: list[int] = []
    slow: list[int] = []
    for row in rows:
        since = now_us - (row.step_s or moves.STEP_S) * 1_000_000
        (silent if (heard.get(row.node_id) or 0) < since else slow).append(row.id)
        row.absolute_us = row.step_us  # whatever is decided: not looked at for ever
    offerer.withdraw(session, rows, now_us)
    done = moves.move(session, silent, states.LOST, Actor.FLEET, now_us, "silent")
    done += moves.move(session, slow, states.TIMED_OUT, Actor.FLEET, now_us, "slow")
    return len(done)


def _over(now_us: int) -> Select[int]:
    return (
        select(Update.id)
        .where(Update.step_us <= now_us, Update.open_for.is_not(None))
        .order_by(Update.step_us)
    )
