"""Tables of updates on their way: what a node runs, and what it was assigned. Times are us UTC."""

from sqlalchemy import BigInteger, Boolean, Index, Integer, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Running(Base):
    """What a node last said that it runs; one row of each node that ever said so, written when
    it changes. `image`: the first four bytes of the image's SHA-256, most significant first.
    """

    __tablename__ = "running"
    # Rollouts that take late joiners ask who has said something new since they looked.
    __table_args__ = (
        Index("ix_running_sequence", "sequence"),
        Index("ix_running_since", "since_us"),
    )

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer)  # 0: a development build
    image: Mapped[int] = mapped_column(BigInteger)
    runtime: Mapped[int] = mapped_column(Integer)  # 65536 * major + 256 * minor + micro; 0: unsaid
    since_us: Mapped[int] = mapped_column(BigInteger)


class Assigned(Base):
    """An item of kind UPDATE: which release a node was to take, and what came of it. Kept as
    history, so that numbers of items stand for one stream for ever.

    `parts`: strict CBOR of release.Assignment's.
    """

    __tablename__ = "assigned"
    __table_args__ = (Index("ix_assigned_update", "update_id"),)

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    update_id: Mapped[int | None] = mapped_column(Integer)  # None: it takes an earlier one back
    sequence: Mapped[int] = mapped_column(Integer)  # 0: it takes an earlier one back
    digest: Mapped[bytes] = mapped_column(LargeBinary)  # 16 bytes of the manifest's
    size: Mapped[int] = mapped_column(Integer)  # bytes of the stream
    parts: Mapped[bytes] = mapped_column(LargeBinary)
    made_us: Mapped[int] = mapped_column(BigInteger)
    withdrawn_us: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[int | None] = mapped_column(SmallInteger)  # as the node told it
    detail: Mapped[int | None] = mapped_column(BigInteger)
    ended_us: Mapped[int | None] = mapped_column(BigInteger)  # when it told a result
    forged: Mapped[int] = mapped_column(SmallInteger, default=0)  # how often the mac was wrong
    whole: Mapped[bool] = mapped_column(Boolean, default=True)  # no delta in it


class Packed(Base):
    """A component as it is sent, by the SHA-256 of what is installed: packed once for ever, since
    another version of the library may pack it otherwise, and nodes have half of it.
    """

    __tablename__ = "packed"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
