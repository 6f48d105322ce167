"""Tables of what is done to terminals: policies, swaps, checks, work orders, what was let go."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
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


class LedgerPolicy(Base):
    """A programme's own times; policy.py has those of the others."""

    __tablename__ = "ledger_policies"

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    dual_s: Mapped[int] = mapped_column(Integer)
    compared: Mapped[int] = mapped_column(Integer)
    gap_s: Mapped[int] = mapped_column(Integer)
    rollback_s: Mapped[int] = mapped_column(Integer)
    most_per_day: Mapped[int] = mapped_column(BigInteger)


class MigrationSwap(Base):
    """An attempt at an item: what was put in place, how a register is read there, and its start.
    An item that moves several meters has a row for each.

    `mode`: beside (both stay for a dual run), instead (the old one went at once) or same (the
    terminal stays, its bearer changes). Without a register the columns of one are NULL.
    """

    __tablename__ = "migration_swaps"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, index=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), index=True)
    register: Mapped[int | None] = mapped_column(SmallInteger)
    mode: Mapped[str] = mapped_column(String(8))
    terminal_id: Mapped[str | None] = mapped_column(ForeignKey("terminals.id"))  # None: retired
    at_us: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str | None] = mapped_column(String(4))
    decimals: Mapped[int | None] = mapped_column(SmallInteger)
    modulus: Mapped[int | None] = mapped_column(BigInteger)
    clock_shift_s: Mapped[int | None] = mapped_column(Integer)
    step: Mapped[int | None] = mapped_column(BigInteger)
    # A time at which it is known what the new dial showed, and the asset's index then: of the
    # visit that saw both dials, or of the last reading of a meter that stays where it is.
    first_us: Mapped[int | None] = mapped_column(BigInteger)
    first_raw: Mapped[int | None] = mapped_column(BigInteger)
    first_index: Mapped[int | None] = mapped_column(BigInteger)
    old_raw: Mapped[int | None] = mapped_column(BigInteger)
    verdict: Mapped[str] = mapped_column(String(200))  # what the parity gate said last
    judged_us: Mapped[int | None] = mapped_column(BigInteger)
    open_for: Mapped[int | None] = mapped_column(BigInteger)  # the item, while it is

    __table_args__ = (
        UniqueConstraint("open_for", "asset_id"),
        CheckConstraint("mode IN ('beside', 'instead', 'same')", name="mode"),
        CheckConstraint("open_for IS NULL OR open_for = item_id", name="open"),
        CheckConstraint(
            "(first_raw IS NULL) = (first_index IS NULL)"
            " AND (first_raw IS NULL) = (first_us IS NULL)",
            name="dials",
        ),
    )


class PreflightCheck(Base):
    """Whether something that must be so before a visit is so; the newest word on it."""

    __tablename__ = "preflight_checks"

    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    passed: Mapped[bool] = mapped_column(Boolean)
    said: Mapped[str] = mapped_column(String(100))
    person: Mapped[str] = mapped_column(String(100))
    at_us: Mapped[int] = mapped_column(BigInteger)


class WorkOrder(Base):
    """One terminal's job for a technician: `kind` install, back (rollback) or remove."""

    __tablename__ = "work_orders"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, index=True)
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(8))  # open, started, done, void
    made_us: Mapped[int] = mapped_column(BigInteger)
    person: Mapped[str] = mapped_column(String(100))
    started_us: Mapped[int | None] = mapped_column(BigInteger)
    done_us: Mapped[int | None] = mapped_column(BigInteger)
    photo: Mapped[str] = mapped_column(String(500))
    photo_sha256: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(String(200))

    __table_args__ = (
        CheckConstraint("state IN ('open', 'started', 'done', 'void')", name="state"),
        CheckConstraint("kind IN ('install', 'back', 'remove')", name="kind"),
    )


# One job of an item at a time.
Index(
    "uq_work_orders_open", WorkOrder.item_id, unique=True,
    sqlite_where=text("state IN ('open', 'started')"),
    postgresql_where=text("state IN ('open', 'started')"),
)  # fmt: skip


class Decommissioned(Base):
    """A terminal that was let go: what was asked of the operator and of platforms, and when it
    was confirmed (None: not yet).
    """

    __tablename__ = "decommissioned"

    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), index=True)
    at_us: Mapped[int] = mapped_column(BigInteger)
    iccid: Mapped[str | None] = mapped_column(String(20), index=True)  # to be cancelled
    sim_confirmed_us: Mapped[int | None] = mapped_column(BigInteger)
    alias: Mapped[str | None] = mapped_column(String(100))  # by which platforms know it
    alias_confirmed_us: Mapped[int | None] = mapped_column(BigInteger)
    revoked: Mapped[int] = mapped_column(Integer)  # certificates and keys
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"))
