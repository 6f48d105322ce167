"""What is remembered of each node to tell two devices from one."""

from sqlalchemy import BigInteger, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class EpochWatch(Base):
    """One row for each node: the epoch of its newest records, and those that came before.

    `earlier` is strict CBOR, [epoch, how often it came back, ...], newest last; `returns` is how
    often the present one came back. Written when the epoch changes: a few times in a node's life.
    """

    __tablename__ = "epoch_watches"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    earlier: Mapped[bytes] = mapped_column(LargeBinary)
    returns: Mapped[int] = mapped_column(Integer)
