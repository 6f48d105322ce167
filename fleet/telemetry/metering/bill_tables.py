"""Tables of bills that were exported: written once, and never changed. Times are us UTC."""

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
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base
from fleet.migration.tables import WIDE


class BillExport(Base):
    """A closed period of an area. While `digest` is NULL it is being made; then it is sealed.

    `digest` is the SHA-256 of the CSV file, in hexadecimal, and in the evidence as well.
    """

    __tablename__ = "bill_exports"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    scope: Mapped[str] = mapped_column(String(12))  # an area's code, and all that begin so
    number: Mapped[int] = mapped_column(Integer)
    previous: Mapped[int | None] = mapped_column(Integer)
    from_us: Mapped[int] = mapped_column(BigInteger)
    to_us: Mapped[int] = mapped_column(BigInteger)
    person: Mapped[str] = mapped_column(String(100))
    made_us: Mapped[int] = mapped_column(BigInteger)
    row_count: Mapped[int | None] = mapped_column(Integer)
    estimated: Mapped[int | None] = mapped_column(Integer)
    corrections: Mapped[int | None] = mapped_column(Integer)
    digest: Mapped[str | None] = mapped_column(String(64))
    evidence_id: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"))

    __table_args__ = (
        UniqueConstraint("scope", "number", name="uq_bill_exports_number"),
        UniqueConstraint("scope", "number", "to_us", name="uq_bill_exports_end"),
        # No period is left out, and none is there twice.
        ForeignKeyConstraint(
            ("scope", "previous", "from_us"),
            ("bill_exports.scope", "bill_exports.number", "bill_exports.to_us"),
            name="fk_bill_exports_chain",
        ),
        CheckConstraint(
            "(number = 0 AND previous IS NULL) OR (number > 0 AND previous = number - 1"
            " AND previous IS NOT NULL)",
            name="chain",
        ),
        CheckConstraint("to_us > from_us", name="time"),
        CheckConstraint(
            "(digest IS NULL) = (evidence_id IS NULL) AND (digest IS NULL) = (row_count IS NULL)"
            " AND (digest IS NULL) = (estimated IS NULL)"
            " AND (digest IS NULL) = (corrections IS NULL)",
            name="sealed",
        ),
    )


class BillExportPage(Base):
    """Some lines of the file, compressed by zlib: what was delivered, byte for byte."""

    __tablename__ = "bill_export_pages"

    export_id: Mapped[int] = mapped_column(ForeignKey("bill_exports.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class BillShare(Base):
    """A row of an export: what of the bill is of the period of `line_id`.

    `kind`: usage, once for each bill line; correction, what an earlier period turned out to have
    used more or less than was told; carried, what is billed ahead of what is known, or taken off
    that. Those of an asset add up to what its bill lines say, to the last digit.
    """

    __tablename__ = "bill_shares"

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    export_id: Mapped[int] = mapped_column(ForeignKey("bill_exports.id"), index=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("bill_lines.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    from_index: Mapped[int] = mapped_column(BigInteger)
    to_index: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger)
    quality: Mapped[int] = mapped_column(SmallInteger)
    method: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(20))
    read_us: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        UniqueConstraint("export_id", "line_id", "kind", name="uq_bill_shares_kind"),
        CheckConstraint("kind IN ('usage', 'correction', 'carried')", name="kind"),
        # Each bill line is exported once, whatever areas overlap.
        Index(
            "uq_bill_shares_usage", "line_id", unique=True,
            sqlite_where=text("kind = 'usage'"), postgresql_where=text("kind = 'usage'"),
        ),
    )  # fmt: skip
