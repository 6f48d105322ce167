"""Tables of daily reads and of what somebody must look at. Times are us UTC, days local ones by
number since 1970, indices integers in the register's scale.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base
from fleet.migration.tables import WIDE

GOOD, ESTIMATED = 0, 1


class DailyRead(Base):
    """An asset's index at the end of a day. What was said is never changed: what is known better
    later is another revision, and the highest one counts.

    `stands` is the index by the last reading that counted, of segment `segment_no` (`read_us`,
    `read_raw`, `total`: ledger_tables.py); `at_index` is over it only in an estimate.
    """

    __tablename__ = "daily_reads"

    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), primary_key=True)
    register: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    at_index: Mapped[int] = mapped_column(BigInteger)
    stands: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[int] = mapped_column(SmallInteger)  # 0 good, 1 estimated
    method: Mapped[str] = mapped_column(String(8))  # estimating.py
    reason: Mapped[str] = mapped_column(String(8))  # of an estimate, else empty
    segment_no: Mapped[int] = mapped_column(Integer)
    read_us: Mapped[int] = mapped_column(BigInteger)
    read_raw: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    made_us: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        ForeignKeyConstraint(
            ("asset_id", "register", "segment_no"),
            (
                "register_segments.asset_id", "register_segments.register",
                "register_segments.number",
            ),
            name="fk_daily_reads_segment",
        ),
        CheckConstraint(
            "quality IN (0, 1) AND (quality = 0) = (reason = '')"
            " AND (quality = 0) = (method = 'read')",
            name="reason",
        ),
        CheckConstraint("at_index >= stands AND (quality = 1 OR at_index = stands)", name="index"),
        CheckConstraint("revision >= 0", name="revision"),
        # What may be replaced is found by this.
        Index(
            "ix_daily_reads_estimated", "asset_id", "register", "day",
            sqlite_where=text("quality = 1"), postgresql_where=text("quality = 1"),
        ),
    )  # fmt: skip


class MeteringPolicy(Base):
    """The limits of a register's validation and estimation (policy.py), where they were set."""

    __tablename__ = "metering_policies"

    register: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    spike_times: Mapped[int] = mapped_column(Integer)
    spike_floor: Mapped[int] = mapped_column(BigInteger)
    most_per_day: Mapped[int] = mapped_column(BigInteger)
    zero_days: Mapped[int] = mapped_column(Integer)
    missing_days: Mapped[int] = mapped_column(Integer)
    profile_days: Mapped[int] = mapped_column(Integer)
    estimate_days: Mapped[int] = mapped_column(Integer)
    replace_days: Mapped[int] = mapped_column(Integer)


class MeteringException(Base):
    """Something about a register that somebody must look at; one of a kind is open at a time."""

    __tablename__ = "metering_exceptions"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"))
    register: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(6))  # open, taken, closed: worklist.py
    first_day: Mapped[int] = mapped_column(Integer)
    last_day: Mapped[int] = mapped_column(Integer)
    detail: Mapped[str] = mapped_column(String(200))
    person: Mapped[str] = mapped_column(String(100))  # who took or closed it, else empty
    opened_us: Mapped[int] = mapped_column(BigInteger)
    closed_us: Mapped[int | None] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(8))
    note: Mapped[str] = mapped_column(String(200))
    # `asset/register/kind` while it is not closed, else NULL: a constraint, not a check.
    open_for: Mapped[str | None] = mapped_column(String(40))

    __table_args__ = (
        UniqueConstraint("open_for", name="uq_metering_exceptions_open_for"),
        CheckConstraint(
            "(state = 'closed') = (open_for IS NULL) AND (state = 'closed') = (outcome <> '')"
            " AND (state = 'closed') = (closed_us IS NOT NULL)",
            name="closed",
        ),
        Index("ix_metering_exceptions_asset_id", "asset_id", "register"),
        Index("ix_metering_exceptions_state", "state", "id"),
    )


class HeldRead(Base):
    """A reading that does not count until somebody says so; `quality` is what it had before.

    `outcome`: empty while it is held, then accepted (it counts) or rejected (it never will).
    """

    __tablename__ = "held_reads"

    reading_id: Mapped[int] = mapped_column(WIDE, primary_key=True, autoincrement=False)
    exception_id: Mapped[int] = mapped_column(ForeignKey("metering_exceptions.id"), index=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    register: Mapped[int] = mapped_column(SmallInteger)
    at_us: Mapped[int] = mapped_column(BigInteger)
    raw: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[int] = mapped_column(SmallInteger)
    outcome: Mapped[str] = mapped_column(String(8))
