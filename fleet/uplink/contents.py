"""What is remembered of the contents of records, to tell two devices with one journal."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from fleet.uplink.tables import StoredSequences


def forget(session: Session, node_id: str) -> None:
    """What a node's records held counts no more; which of them are stored stays known."""
    session.execute(
        update(StoredSequences).where(StoredSequences.node_id == node_id).values(digests=None)
    )
