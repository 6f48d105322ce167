"""The table of readings. A value is an integer in 10**-decimals of its quantity's unit."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Reading(Base):
    """One value. Several at one (asset, quantity, time) are legal: sequences tell repeats."""

    __tablename__ = "readings"
    # A page is read along one of these, whatever selects it: never by sorting the table.
    __table_args__ = (
        Index("ix_readings_series", "asset_id", "quantity", "time_us"),
        Index("ix_readings_terminal", "terminal_id", "time_us"),
        Index("ix_readings_time", "time_us"),
        # The few of wrong clocks are found by when they came in.
        Index(
            "ix_readings_clock_off", "asset_id", "received_us",
            sqlite_where=text("clock_off = 1"), postgresql_where=text("clock_off"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"))
    terminal_id: Mapped[str] = mapped_column(String(10))
    quantity: Mapped[int] = mapped_column(Integer)
    time_us: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[int] = mapped_column(SmallInteger)
    trust: Mapped[int] = mapped_column(SmallInteger)
    received_us: Mapped[int] = mapped_column(BigInteger)
    # The node's time lies far from the fleet's: over an hour ahead or 400 days behind.
    clock_off: Mapped[bool] = mapped_column(Boolean)
