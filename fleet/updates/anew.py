"""What becomes of an update when its node is provisioned anew, in the caller's transaction."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.rollouts import moves, states
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update
from fleet.updates.tables import Assigned


def provisioned(session: Session, node_id: str, now_us: int) -> None:
    """The node has lost its job with its file system: the update has failed, and may be tried
    again. Its item is not served any more.
    """
    row = session.scalar(select(Update).where(Update.open_for == node_id))
    if row is None:
        return
    assigned = session.get(Assigned, (node_id, row.number or 0))
    if assigned is not None:
        assigned.withdrawn_us = now_us
    moves.move(session, [row.id], states.FAILED, Actor.FLEET, now_us, "provisioned")
