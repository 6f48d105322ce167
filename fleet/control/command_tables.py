"""Tables of commands: what a person asked for, and each node's part in it. Times are us UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Command(Base):
    """One command to one node or many; its id is the identifier on the air, and never reused.

    `until_us`: first the end of the time in which it may be approved, then the end of the
    approval: nothing of it is handed over later. `due_us`: when somebody must look at it next.
    `unreleased` and `open` count deliveries, so that nothing has to count them again.
    """

    __tablename__ = "commands"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # as SQLAlchemy wants it

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    code: Mapped[int] = mapped_column(SmallInteger)
    arguments: Mapped[str] = mapped_column(Text)  # JSON list of integers
    target: Mapped[str] = mapped_column(String(80))
    valve: Mapped[bool] = mapped_column(Boolean)
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_account: Mapped[str] = mapped_column(String(64))  # of the machine, beside the name
    asked_us: Mapped[int] = mapped_column(BigInteger)
    lives_us: Mapped[int] = mapped_column(BigInteger)  # how long its approval does
    approved_by: Mapped[str | None] = mapped_column(String(64))
    approved_account: Mapped[str | None] = mapped_column(String(64))
    approved_us: Mapped[int | None] = mapped_column(BigInteger)  # no approval needed: asked_us
    until_us: Mapped[int] = mapped_column(BigInteger)
    cancelled_by: Mapped[str | None] = mapped_column(String(64))
    per_minute: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(Integer)
    unreleased: Mapped[int] = mapped_column(Integer)
    open: Mapped[int] = mapped_column(Integer)
    due_us: Mapped[int | None] = mapped_column(BigInteger)  # None: it is over


Index("ix_commands_due", Command.due_us)
Index(
    "ix_commands_unreleased",
    Command.id,
    sqlite_where=Command.unreleased > 0,
    postgresql_where=Command.unreleased > 0,
)


class Delivery(Base):
    """A node's part in a command. `state`: queued, delivered, executed, refused or expired; `why`
    is the key of a text. `number` is that of its item, once it was released into the queue.
    """

    __tablename__ = "deliveries"
    # A number is one command's for ever, whatever the code above does.
    __table_args__ = (UniqueConstraint("node_id", "number"),)

    command_id: Mapped[int] = mapped_column(ForeignKey("commands.id"), primary_key=True)
    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    state: Mapped[str] = mapped_column(String(9))
    why: Mapped[str] = mapped_column(String(20))
    valve: Mapped[bool] = mapped_column(Boolean)  # as the command's, for the index
    number: Mapped[int | None] = mapped_column(Integer)
    released_us: Mapped[int | None] = mapped_column(BigInteger)
    delivered_us: Mapped[int | None] = mapped_column(BigInteger)  # first time, put into an answer
    ended_us: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[int | None] = mapped_column(SmallInteger)  # as the node told it
    detail: Mapped[int | None] = mapped_column(BigInteger)
    trust: Mapped[int | None] = mapped_column(SmallInteger)  # of the record that told it


Index("ix_deliveries_released", Delivery.valve, Delivery.released_us)
Index("ix_deliveries_node", Delivery.node_id, Delivery.command_id)
Index(
    "ix_deliveries_unreleased",
    Delivery.command_id,
    Delivery.node_id,
    sqlite_where=Delivery.released_us.is_(None) & (Delivery.state == "queued"),
    postgresql_where=Delivery.released_us.is_(None) & (Delivery.state == "queued"),
)
