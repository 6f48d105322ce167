"""Tables of releases: what may be installed, its bytes, whose signatures count, and deltas.
Times are us UTC.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base

# States of a release. Only a promoted one may be offered; a revoked one never is again.
RELEASED, PROMOTED, REVOKED = "released", "promoted", "revoked"
# States of a delta. Only a ready one was proved, and may be offered.
PREPARING, READY, FAILED = "preparing", "ready", "failed"


class Release(Base):
    """A release whose signatures were verified. `digest`: SHA-256 of the manifest; `image`: the
    first 8 bytes of what the slot's image says is its digest, None without an application.
    """

    __tablename__ = "releases"

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(String(32))  # "": any
    board: Mapped[str] = mapped_column(String(32))  # "": any
    state: Mapped[str] = mapped_column(String(10))
    manifest: Mapped[bytes] = mapped_column(LargeBinary)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    image: Mapped[bytes | None] = mapped_column(LargeBinary(8), index=True)
    sbom: Mapped[str] = mapped_column(Text, deferred=True)  # long: read where it is asked for
    added_us: Mapped[int] = mapped_column(BigInteger)
    promoted_us: Mapped[int | None] = mapped_column(BigInteger)
    revoked_us: Mapped[int | None] = mapped_column(BigInteger)
    person: Mapped[str] = mapped_column(String(64))  # who changed its state last
    reason: Mapped[str] = mapped_column(Text)  # of a revocation, for people


class Artifact(Base):
    """Bytes of a component, once for all releases that have it; `digest` is their SHA-256."""

    __tablename__ = "release_artifacts"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Delta(Base):
    """From an application's image, known by its `base`, to that of a release."""

    __tablename__ = "release_deltas"

    sequence: Mapped[int] = mapped_column(ForeignKey("releases.sequence"), primary_key=True)
    base: Mapped[bytes] = mapped_column(LargeBinary(8), primary_key=True)
    base_sequence: Mapped[int] = mapped_column(ForeignKey("releases.sequence"))
    state: Mapped[str] = mapped_column(String(10))
    patch: Mapped[bytes | None] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(Text)  # why it failed
    changed_us: Mapped[int] = mapped_column(BigInteger)


Index("ix_release_deltas_state", Delta.state, Delta.sequence)


class ReleaseTrust(Base):
    """Whose signatures count (wire/trust.py): the highest sequence is in force."""

    __tablename__ = "release_trust"

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    added_us: Mapped[int] = mapped_column(BigInteger)
    person: Mapped[str] = mapped_column(String(64))
