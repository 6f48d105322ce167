"""Tables of sub-devices: what hangs on a gateway's line. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class SubDevice(Base):
    """Sub-device `number` behind the gateway of asset `gateway_id` serves an asset of its own.

    By the gateway's asset and not its node: the meters stay where they are when the gateway is
    swapped. A meter that is replaced has a new row, with what the new one's register lacks.
    """

    __tablename__ = "sub_devices"
    __table_args__ = (Index("ix_sub_devices_gateway", "gateway_id", "number", "from_us"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    gateway_id: Mapped[int] = mapped_column(ForeignKey("assets.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    address: Mapped[str] = mapped_column(String(14))  # of the meter on the line; empty: not known
    from_us: Mapped[int] = mapped_column(BigInteger)
    to_us: Mapped[int | None] = mapped_column(BigInteger)
    # "gateway/number" while this is the open row of both, else NULL: a constraint, not a check.
    open_for: Mapped[str | None] = mapped_column(String(20), unique=True)
    register_offset: Mapped[int] = mapped_column(BigInteger, default=0)


class FoundDevice(Base):
    """A device that a gateway's search of its line found."""

    __tablename__ = "found_devices"

    node_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    protocol: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    address: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    baud: Mapped[int] = mapped_column(Integer)
    meter_type: Mapped[int] = mapped_column(SmallInteger)
    seen_us: Mapped[int] = mapped_column(BigInteger)
