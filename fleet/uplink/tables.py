"""What the ingest remembers: stored sequences by (node, epoch), and what it could not read."""

from sqlalchemy import BigInteger, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class StoredSequences(Base):
    """One row for each (node, epoch). `ranges` is strict CBOR: [first, last, first, last, ...]."""

    __tablename__ = "stored_sequences"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ranges: Mapped[bytes] = mapped_column(LargeBinary)
    # Of the newest records, see fleet.clones.window: two of one sequence are two devices.
    digests: Mapped[bytes | None] = mapped_column(LargeBinary)


class DeadLetter(Base):
    """A message that could not be decoded, kept for inspection."""

    __tablename__ = "dead_letters"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    node_id: Mapped[str] = mapped_column(String(11), index=True)  # or a claim id
    received_us: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(200))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
