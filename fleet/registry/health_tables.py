"""Tables of what nodes say of their own health. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Crash(Base):
    """What a node's firmware died of, as one record of its journal told. Kept as history.

    The traceback and the module are CRC-32: fleet.registry.modules has the names. A crash
    without a traceback has 0: its watchdog bit, and the module may be the task that was silent.
    """

    __tablename__ = "crashes"
    __table_args__ = (
        Index("ix_crashes_node_id_at_us", "node_id", "at_us"),
        Index("ix_crashes_traceback", "traceback"),
    )

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at_us: Mapped[int] = mapped_column(BigInteger)  # by the node's clock, when it was reported
    received_us: Mapped[int] = mapped_column(BigInteger)
    traceback: Mapped[int] = mapped_column(BigInteger)
    module: Mapped[int] = mapped_column(BigInteger)
    line: Mapped[int] = mapped_column(Integer)
    heap: Mapped[int] = mapped_column(Integer)  # bytes that were free
    cause: Mapped[int] = mapped_column(Integer)  # machine.reset_cause() of that life


class NodeLog(Base):
    """One entry of a node's log, pulled from it; of each node the newest ones."""

    __tablename__ = "node_log"
    __table_args__ = (Index("ix_node_log_node_id_at_us", "node_id", "at_us"),)

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at_us: Mapped[int] = mapped_column(BigInteger)
    received_us: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[int] = mapped_column(Integer)  # fleet.wire.logcode
    argument: Mapped[int] = mapped_column(BigInteger)
