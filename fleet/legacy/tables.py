"""Tables of what terminals of other makers send, beside their readings. Times are us UTC."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base
from fleet.db.triggers import Rule, attach
from fleet.telemetry.tables import Reading

_WIDE = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers by INTEGER alone

# Ids of terminals of other makers begin with g to z (fleet.registry.legacy_ids). They have no
# sequence that tells a repeat, so one value of a quantity at one time is all there can be.
_THEIRS = "terminal_id >= 'g'"
Index(
    "uq_readings_legacy", Reading.terminal_id, Reading.time_us, Reading.quantity,
    Reading.asset_id, unique=True, sqlite_where=text(_THEIRS), postgresql_where=text(_THEIRS),
)  # fmt: skip


class LegacyConflict(Base):
    """Another value than the one that is stored of the same quantity and time."""

    __tablename__ = "legacy_conflicts"

    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id"), primary_key=True)
    quantity: Mapped[int] = mapped_column(Integer, primary_key=True)
    time_us: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    quality: Mapped[int] = mapped_column(SmallInteger)
    received_us: Mapped[int] = mapped_column(BigInteger)


class LegacyStranger(Base):
    """Who sent something that is nobody's: unknown, retired, installed nowhere, an unknown meter.

    `kind`, `address` and `meter` as in `sources.Source`; `why` of the newest.
    """

    __tablename__ = "legacy_strangers"

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    address: Mapped[str] = mapped_column(String(40), primary_key=True)
    meter: Mapped[str] = mapped_column(String(14), primary_key=True)
    why: Mapped[str] = mapped_column(String(40))
    peer: Mapped[str] = mapped_column(String(64))  # address of the newest, empty: by no network
    first_us: Mapped[int] = mapped_column(BigInteger)
    last_us: Mapped[int] = mapped_column(BigInteger)
    seen: Mapped[int] = mapped_column(Integer)  # what it sent, kept or not
    kept: Mapped[int] = mapped_column(Integer)


class LegacyKept(Base):
    """What a stranger sent, until it is known: `said` is JSON [[quantity, time, value, quality]],
    `frame` the bytes as they came; `hold`: why it is no reading even then, empty: it may be.
    """

    __tablename__ = "legacy_kept"

    id: Mapped[int] = mapped_column(_WIDE, primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(40))
    meter: Mapped[str] = mapped_column(String(14))
    received_us: Mapped[int] = mapped_column(BigInteger)
    frame: Mapped[bytes] = mapped_column(LargeBinary)
    said: Mapped[str] = mapped_column(Text)
    hold: Mapped[str] = mapped_column(String(40))


Index("ix_legacy_kept_source", LegacyKept.kind, LegacyKept.address, LegacyKept.meter)


class LegacyLink(Base):
    """Where a terminal speaks from, and how. `allowed`: the variant of its protocol that is
    tolerated of it, empty: none; `used` and `used_us`: the variant that it did use, and when last.
    """

    __tablename__ = "legacy_links"

    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    peer: Mapped[str] = mapped_column(String(64))
    since_us: Mapped[int] = mapped_column(BigInteger)
    before: Mapped[str] = mapped_column(String(64))  # the peer before this one; empty: none
    moves: Mapped[int] = mapped_column(Integer)
    allowed: Mapped[str] = mapped_column(String(16))
    used: Mapped[str] = mapped_column(String(16))
    used_us: Mapped[int | None] = mapped_column(BigInteger)


class LegacyUnmapped(Base):
    """What a terminal tells that is no quantity of the fleet's: its newest value, as it came."""

    __tablename__ = "legacy_unmapped"

    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(40))
    time_us: Mapped[int] = mapped_column(BigInteger)


class LegacyOrder(Base):
    """A text for a box on its own connection: handed over once, by the process that has the
    connection and claimed it (orders.py). `answer`: what came, printable.
    """

    __tablename__ = "legacy_orders"
    __table_args__ = (
        CheckConstraint(
            "state IN ('open', 'sent', 'answered', 'silent', 'withdrawn', 'refused', 'unknown')",
            name="state",
        ),
        CheckConstraint("(open_for IS NULL) = (state NOT IN ('open', 'sent'))", name="open"),
    )

    id: Mapped[int] = mapped_column(_WIDE, primary_key=True)
    terminal_id: Mapped[str] = mapped_column(ForeignKey("terminals.id"), index=True)
    open_for: Mapped[str | None] = mapped_column(String(10), unique=True)  # one at a time
    state: Mapped[str] = mapped_column(String(10))
    text: Mapped[str] = mapped_column(String(160))
    expects: Mapped[str] = mapped_column(String(200))
    person: Mapped[str] = mapped_column(String(100))
    made_us: Mapped[int] = mapped_column(BigInteger)
    expires_us: Mapped[int] = mapped_column(BigInteger)
    sent_us: Mapped[int | None] = mapped_column(BigInteger)
    ended_us: Mapped[int | None] = mapped_column(BigInteger)
    answer: Mapped[str] = mapped_column(String(1000))


attach(
    Base.metadata,
    [
        Rule(
            "legacy_orders", "once", "UPDATE",
            "OLD.open_for IS NULL OR (OLD.state = 'sent' AND NEW.state = 'open')",
            "an order that was sent is never sent again",
        )
    ],
)  # fmt: skip
