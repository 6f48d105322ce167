"""Tables of bridges: how far each source is read, and what waits for each platform."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base

_Id = BigInteger().with_variant(Integer, "sqlite")


class BridgeSource(Base):
    """A source and how far it is read: all before `cursor` is stored, or among the dead letters.

    The counts are of rows and of readings since its first run; `error` of the last failed read.
    """

    __tablename__ = "bridge_sources"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    cursor: Mapped[str] = mapped_column(Text)
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    stored: Mapped[int] = mapped_column(BigInteger, default=0)
    again: Mapped[int] = mapped_column(BigInteger, default=0)
    conflicts: Mapped[int] = mapped_column(BigInteger, default=0)
    dead: Mapped[int] = mapped_column(BigInteger, default=0)
    read_us: Mapped[int | None] = mapped_column(BigInteger)  # when it was last read in full
    failing_us: Mapped[int | None] = mapped_column(BigInteger)  # since when it cannot be
    error: Mapped[str] = mapped_column(String(200), default="")


class BridgeTarget(Base):
    """A platform that is told readings: those up to `cursor`, an id of theirs, are queued."""

    __tablename__ = "bridge_targets"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    cursor: Mapped[int] = mapped_column(BigInteger)
    sent: Mapped[int] = mapped_column(BigInteger, default=0)  # messages that it has taken
    failures: Mapped[int] = mapped_column(Integer, default=0)  # in a row
    failing_us: Mapped[int | None] = mapped_column(BigInteger)
    retry_us: Mapped[int] = mapped_column(BigInteger, default=0)  # not before
    error: Mapped[str] = mapped_column(String(200), default="")


class BridgeMessage(Base):
    """One message to a platform: queued in the transaction that moves the target's cursor.

    `said`: JSON, a list of [quantity, value, quality] of one asset at one time. `stamp_us` names
    it on the way (the QN of HJ 212), the same whenever it is repeated.
    """

    __tablename__ = "bridge_messages"
    __table_args__ = (
        Index("ix_bridge_messages_due", "target", "state", "id"),
        Index("ix_bridge_messages_done", "state", "done_us"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    target: Mapped[str] = mapped_column(ForeignKey("bridge_targets.name"))
    state: Mapped[str] = mapped_column(String(8))  # queued, sent, refused
    asset_id: Mapped[int] = mapped_column(Integer)
    time_us: Mapped[int] = mapped_column(BigInteger)
    said: Mapped[str] = mapped_column(Text)
    stamp_us: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    done_us: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(String(200), default="")
