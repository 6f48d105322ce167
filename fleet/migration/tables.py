"""Tables of programmes: what is to be done, and each terminal's part. Times are us UTC."""

from sqlalchemy import (
    BigInteger,
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

WIDE = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers by INTEGER alone
PLANNED = "planned"  # the state of an item that nobody has touched; the others: states.py


class MigrationProgramme(Base):
    """Which terminals move, and by which rules.

    `scope` is the area (its code, and all that begin so); `rules` the text of the rules file that
    the plan was made with, `settings` JSON of what the waves were made with (waves.py).
    """

    __tablename__ = "migration_programmes"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # as SQLAlchemy wants it

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    scope: Mapped[str] = mapped_column(String(12))
    rules: Mapped[str] = mapped_column(Text)
    settings: Mapped[str] = mapped_column(Text)
    made_us: Mapped[int] = mapped_column(BigInteger)
    planned_us: Mapped[int | None] = mapped_column(BigInteger)
    waved_us: Mapped[int | None] = mapped_column(BigInteger)


class MigrationItem(Base):
    """One terminal's part in a programme: where to, how, why, when; and how far it is.

    `because`: the planner's one line. `state` and `deadline_us` (until when it may be rolled
    back) are moved by the ledger alone; the planner rewrites items that are `planned`.
    """

    __tablename__ = "migration_items"
    __table_args__ = (UniqueConstraint("programme_id", "old_terminal_id"),)

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    programme_id: Mapped[int] = mapped_column(ForeignKey("migration_programmes.id"))
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    old_terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), index=True)
    new_terminal_id: Mapped[str | None] = mapped_column(ForeignKey("terminals.id"), index=True)
    bearer: Mapped[str] = mapped_column(String(16))  # NB-IoT, Cat1, RedCap, gateway, legacy, none
    because: Mapped[str] = mapped_column(String(200))
    path: Mapped[str] = mapped_column(String(24))  # paths.py
    wave: Mapped[int | None] = mapped_column(SmallInteger)  # from 1; the canary is 1
    due_day: Mapped[int | None] = mapped_column(Integer)  # of its visit, days since 1970
    state: Mapped[str] = mapped_column(String(16))
    deadline_us: Mapped[int | None] = mapped_column(BigInteger)
    at_us: Mapped[int] = mapped_column(BigInteger)  # of the state
    # The old terminal while an item of it is under way, else NULL: a constraint, not a check. Two
    # programmes may plan the same terminal; only one may carry it out.
    open_for: Mapped[str | None] = mapped_column(String(10), unique=True)


Index("ix_migration_items_wave", MigrationItem.programme_id, MigrationItem.wave)
Index("ix_migration_items_state", MigrationItem.programme_id, MigrationItem.state)
