"""Tables of issued and revoked certificates. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Certificate(Base):
    """Every certificate that the authority issued. `serial` is 40 hex digits: it has 159 bits."""

    __tablename__ = "certificates"

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    # The node id while this is the node's one live certificate, else NULL: the constraint, and
    # not a check, keeps a node from having two.
    active_for: Mapped[str | None] = mapped_column(String(10), unique=True)
    issued_us: Mapped[int] = mapped_column(BigInteger)
    not_after_us: Mapped[int] = mapped_column(BigInteger)
    fingerprint: Mapped[str] = mapped_column(String(64))
    key_digest: Mapped[str] = mapped_column(String(64), index=True)


class RevokedSerial(Base):
    """One row a revoked certificate, never deleted; `id` grows, so that readers can follow."""

    __tablename__ = "revoked_serials"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    serial: Mapped[str] = mapped_column(ForeignKey("certificates.serial"), unique=True)
    revoked_us: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(32))
