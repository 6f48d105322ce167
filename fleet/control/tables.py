"""Tables of the downlink queue. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Downlink(Base):
    """One item for a node; rows stay, as the history of what it was told.

    Of a KEY `payload` is the kid alone: the secret is joined when the item is handed over.
    """

    __tablename__ = "downlinks"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created_us: Mapped[int] = mapped_column(BigInteger)
    expires_us: Mapped[int | None] = mapped_column(BigInteger)
    handed_us: Mapped[int | None] = mapped_column(BigInteger)  # first time, put into an answer
    settled_us: Mapped[int | None] = mapped_column(BigInteger)
    refused: Mapped[bool] = mapped_column(Boolean)
    result: Mapped[int | None] = mapped_column(SmallInteger)  # as a record of the node told it
    detail: Mapped[int | None] = mapped_column(BigInteger)


# Every report asks for its node's open items; what is settled is not in the way.
Index(
    "ix_downlinks_open",
    Downlink.node_id,
    Downlink.number,
    sqlite_where=Downlink.settled_us.is_(None),
    postgresql_where=Downlink.settled_us.is_(None),
)


class DownlinkProgress(Base):
    """Of each node that ever had an item: the number given last, and what the node told of them.

    The row's lock makes numbers become visible in their order: a node takes none that is lower
    than one it has handled.
    """

    __tablename__ = "downlink_progress"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    last_number: Mapped[int] = mapped_column(Integer)
    handled: Mapped[int] = mapped_column(Integer)  # highest number that the node is done with
    applied: Mapped[int] = mapped_column(Integer)  # of the newest CONFIG in force, 0: none
    refused: Mapped[int] = mapped_column(Integer)  # of the item refused last, 0: none
    # The node was provisioned anew behind this item: no patch up to it is in force any more.
    base: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
