"""What is remembered of each node to tell two devices from one. Times in us UTC."""

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class EpochWatch(Base):
    """One row for each node: the epoch of its newest records, and those that came before.

    `earlier` and `returns` are strict CBOR: epochs, newest last; times in us at which one of them
    came back. Written when the epoch changes, which is a few times in a node's life.
    """

    __tablename__ = "epoch_watches"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    earlier: Mapped[bytes] = mapped_column(LargeBinary)
    returns: Mapped[bytes] = mapped_column(LargeBinary)
