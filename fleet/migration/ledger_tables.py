"""Tables of the continuity ledger: segments of an asset's register, bill lines, evidence.

The chains are foreign keys: what follows begins where and when its predecessor ended, or is not
stored. Times are us UTC; indices are integers in the register's own scale (litres, 10 Wh).
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base
from fleet.migration.tables import WIDE


class Evidence(Base):
    """One fact, chained to the one before it by SHA-256. `signature` is by the key of id `key_id`
    over the digest, and so vouches for all before it; within a transaction the last one has it.
    """

    __tablename__ = "evidence"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True, autoincrement=False)
    # A chain that forks, or of which something was cut out, cannot be stored.
    previous: Mapped[bytes | None] = mapped_column(ForeignKey("evidence.digest"), unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    at_us: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(12))
    person: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(16))
    item_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    asset_id: Mapped[int | None] = mapped_column(Integer, index=True)
    body: Mapped[str] = mapped_column(Text)  # JSON with sorted keys
    key_id: Mapped[bytes | None] = mapped_column(LargeBinary(8))
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("(id = 1) = (previous IS NULL)", name="chain"),
        CheckConstraint("(key_id IS NULL) = (signature IS NULL)", name="seal"),
    )


class RegisterSegment(Base):
    """A terminal's register is the one that is billed for an asset, from `from_us` to `to_us`.

    The asset's index at t is `base_index + scaled(counts since first_raw)`, never under
    `start_index`. `first_us` is when the terminal showed `first_raw`: at `from_us`, or before it
    where only a visit saw both dials at once.
    """

    __tablename__ = "register_segments"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"))
    register: Mapped[int] = mapped_column(SmallInteger)  # the quantity's code
    number: Mapped[int] = mapped_column(Integer)
    previous: Mapped[int | None] = mapped_column(Integer)
    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))  # why it began: ledger.py
    pair: Mapped[str] = mapped_column(String(10))  # what tied it to the one before: handover.py
    from_us: Mapped[int] = mapped_column(BigInteger)
    to_us: Mapped[int | None] = mapped_column(BigInteger)
    unit: Mapped[str] = mapped_column(String(4))
    decimals: Mapped[int] = mapped_column(SmallInteger)
    modulus: Mapped[int | None] = mapped_column(BigInteger)
    clock_shift_s: Mapped[int] = mapped_column(Integer)
    step: Mapped[int] = mapped_column(BigInteger)
    first_us: Mapped[int] = mapped_column(BigInteger)
    first_raw: Mapped[int] = mapped_column(BigInteger)
    base_index: Mapped[int] = mapped_column(BigInteger)
    start_index: Mapped[int] = mapped_column(BigInteger)
    end_index: Mapped[int | None] = mapped_column(BigInteger)
    last_us: Mapped[int | None] = mapped_column(BigInteger)  # of the reading that it ended with
    last_raw: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)  # counts since first_raw, then
    item_id: Mapped[int | None] = mapped_column(BigInteger)
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"))
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"))

    __table_args__ = (
        UniqueConstraint("asset_id", "register", "number", name="uq_register_segments_number"),
        UniqueConstraint(
            "asset_id", "register", "number", "to_us", "end_index",
            name="uq_register_segments_end",
        ),
        # I1: a segment begins when, and at the index at which, the one before it ended.
        ForeignKeyConstraint(
            ("asset_id", "register", "previous", "from_us", "start_index"),
            (
                "register_segments.asset_id", "register_segments.register",
                "register_segments.number", "register_segments.to_us",
                "register_segments.end_index",
            ),
            name="fk_register_segments_chain",
        ),
        CheckConstraint(
            "(number = 0 AND previous IS NULL) OR (number > 0 AND previous = number - 1"
            " AND previous IS NOT NULL)",
            name="chain",
        ),
        CheckConstraint("to_us IS NULL OR to_us >= from_us", name="time"),
        CheckConstraint("first_us <= from_us", name="first"),
        CheckConstraint("end_index IS NULL OR end_index >= start_index", name="index"),
        CheckConstraint(
            "to_us IS NULL OR to_us > from_us OR end_index = start_index", name="zero"
        ),
        CheckConstraint(
            "(to_us IS NULL) = (end_index IS NULL) AND (to_us IS NULL) = (closed_by IS NULL)"
            " AND (to_us IS NULL) = (last_raw IS NULL) AND (to_us IS NULL) = (last_us IS NULL)"
            " AND (to_us IS NULL) = (total IS NULL)",
            name="closed",
        ),
        CheckConstraint("decimals BETWEEN 0 AND 9 AND step >= 1", name="unit"),
        CheckConstraint("modulus IS NULL OR first_raw < modulus", name="modulus"),
        CheckConstraint("first_raw >= 0", name="raw"),
    )  # fmt: skip


# I3: one segment of an asset's register counts at a time. A terminal may serve several assets:
# meters behind one transparent modem.
Index(
    "uq_register_segments_open", RegisterSegment.asset_id, RegisterSegment.register, unique=True,
    sqlite_where=text("to_us IS NULL"), postgresql_where=text("to_us IS NULL"),
)  # fmt: skip


class BillFreeze(Base):
    """A moment at which indices were written down for the bill; one row for each."""

    __tablename__ = "bill_freezes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    to_us: Mapped[int] = mapped_column(BigInteger, unique=True)
    made_us: Mapped[int] = mapped_column(BigInteger)


class BillLine(Base):
    """What an asset's register used in a period: written once, and never changed.

    `read_us`, `read_raw` and `total` are the reading that the index rests on, of segment
    `segment_no`; `gap_us` the longest time without one.
    """

    __tablename__ = "bill_lines"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"))
    register: Mapped[int] = mapped_column(SmallInteger)
    number: Mapped[int] = mapped_column(Integer)
    previous: Mapped[int | None] = mapped_column(Integer)
    from_us: Mapped[int] = mapped_column(BigInteger)
    to_us: Mapped[int] = mapped_column(BigInteger)
    from_index: Mapped[int] = mapped_column(BigInteger)
    to_index: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[int] = mapped_column(SmallInteger)  # 0 good, 1 estimated
    reason: Mapped[str] = mapped_column(String(20))  # of an estimate, else empty
    gap_us: Mapped[int] = mapped_column(BigInteger)
    policy_us: Mapped[int] = mapped_column(BigInteger)  # the longest gap that is no estimate
    segment_no: Mapped[int] = mapped_column(Integer)
    read_us: Mapped[int] = mapped_column(BigInteger)
    read_raw: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    freeze_id: Mapped[int] = mapped_column(ForeignKey("bill_freezes.id"), index=True)
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"), index=True)

    __table_args__ = (
        UniqueConstraint("asset_id", "register", "number", name="uq_bill_lines_number"),
        # I3: no period twice.
        UniqueConstraint("asset_id", "register", "from_us", name="uq_bill_lines_period"),
        UniqueConstraint(
            "asset_id", "register", "number", "to_us", "to_index", name="uq_bill_lines_end"
        ),
        # I2: each line begins where the one before it ended.
        ForeignKeyConstraint(
            ("asset_id", "register", "previous", "from_us", "from_index"),
            (
                "bill_lines.asset_id", "bill_lines.register", "bill_lines.number",
                "bill_lines.to_us", "bill_lines.to_index",
            ),
            name="fk_bill_lines_chain",
        ),
        ForeignKeyConstraint(
            ("asset_id", "register", "segment_no"),
            (
                "register_segments.asset_id", "register_segments.register",
                "register_segments.number",
            ),
            name="fk_bill_lines_segment",
        ),
        CheckConstraint(
            "(number = 0 AND previous IS NULL) OR (number > 0 AND previous = number - 1"
            " AND previous IS NOT NULL)",
            name="chain",
        ),
        CheckConstraint("to_us > from_us", name="time"),
        CheckConstraint("to_index >= from_index", name="index"),
        # I4: a gap longer than the policy is an estimate, with its reason.
        CheckConstraint("quality IN (0, 1) AND (quality = 1 OR gap_us <= policy_us)", name="gap"),
        CheckConstraint("(quality = 0) = (reason = '')", name="reason"),
    )  # fmt: skip
