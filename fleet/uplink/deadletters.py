"""Messages that cannot be stored: kept for inspection, so many for each node and no more."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.uplink.message import Message
from fleet.uplink.tables import DeadLetter

PER_NODE = 20
KEPT_BYTES = 16384  # of one message; a broker passes 8 kB at most


def bury(session: Session, message: Message, reason: str) -> None:
    """Keep `message`, and of its node the newest PER_NODE."""
    session.add(
        DeadLetter(
            node_id=message.node_id,
            received_us=message.received_us,
            reason=reason[:200],
            payload=(message.payload or b"")[:KEPT_BYTES],
        )
    )
    session.flush()
    of_node = DeadLetter.node_id == message.node_id
    kept = select(DeadLetter.id).where(of_node).order_by(DeadLetter.id.desc()).limit(PER_NODE)
    session.execute(delete(DeadLetter).where(of_node, DeadLetter.id.not_in(kept)))
