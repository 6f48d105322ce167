"""Tables of certificates, OSCORE contexts and vouchers. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String
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
    # The node id while this one was issued for it and never used yet, else NULL.
    next_for: Mapped[str | None] = mapped_column(String(10), unique=True)
    issued_us: Mapped[int] = mapped_column(BigInteger)
    not_after_us: Mapped[int] = mapped_column(BigInteger, index=True)  # who is due, is found so
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


class SpareRequest(Base):
    """The request for the spare key that a node holds, which the fleet may certify once.

    `serial` is that of the certificate made of it, `downlink` the item that carries it; both NULL
    before. The row goes when the node uses the certificate: then it has no spare any more.
    """

    __tablename__ = "spare_requests"

    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    csr: Mapped[bytes] = mapped_column(LargeBinary)  # DER
    key_digest: Mapped[str] = mapped_column(String(64), index=True)
    stored_us: Mapped[int] = mapped_column(BigInteger)
    serial: Mapped[str | None] = mapped_column(String(40))
    downlink: Mapped[int | None] = mapped_column(Integer)


class OscoreContext(Base):
    """An OSCORE security context (RFC 8613, 3.1) that the fleet shares with a node.

    `state` is next (made, never used by the node), current or retired. A retired one has lost kid
    and secret: its kid may be drawn again.
    """

    __tablename__ = "oscore_contexts"
    __table_args__ = ({"sqlite_autoincrement": True},)  # a claim may name a row long gone

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    node_id: Mapped[str] = mapped_column(String(11), index=True)  # or a claim id
    kid: Mapped[bytes | None] = mapped_column(LargeBinary(3), unique=True)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary(64))  # wrapped
    state: Mapped[str] = mapped_column(String(8))
    # The node id while this is the node's current, or next, context, else NULL: constraints.
    current_for: Mapped[str | None] = mapped_column(String(11), unique=True)
    next_for: Mapped[str | None] = mapped_column(String(11), unique=True)
    created_us: Mapped[int] = mapped_column(BigInteger)
    # The replay window of fleet.identity.replay; `highest` NULL: unknown.
    highest: Mapped[int | None] = mapped_column(BigInteger)
    seen: Mapped[int] = mapped_column(BigInteger)
    # Of what came under the newest numbers, see fleet.clones.window: two of one are two devices.
    digests: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The fleet's own sender numbers below this one may have been used.
    own_numbers: Mapped[int] = mapped_column(BigInteger)


class Voucher(Base):
    """Claim credentials on a technician's laptop, or on a node that has not claimed yet.

    Bound from the start to a person, an area and a node type; to a node by `node_id` once the
    laptop has told for which one it was used.
    """

    __tablename__ = "vouchers"

    id: Mapped[str] = mapped_column(String(11), primary_key=True)  # the claim id
    serial: Mapped[str] = mapped_column(ForeignKey("certificates.serial"), unique=True)
    person: Mapped[str] = mapped_column(String(100), index=True)
    area: Mapped[str] = mapped_column(String(12))
    node_type: Mapped[str] = mapped_column(String(32))
    role: Mapped[str] = mapped_column(String(16))
    issued_us: Mapped[int] = mapped_column(BigInteger)
    not_after_us: Mapped[int] = mapped_column(BigInteger, index=True)
    node_id: Mapped[str | None] = mapped_column(String(10))
    revoked_us: Mapped[int | None] = mapped_column(BigInteger)


class VoucherClaim(Base):
    """The one claim that a voucher served for: the primary key, and no check, keeps it at one.

    With `certificate` the same claim gets the same grant again.
    """

    __tablename__ = "voucher_claims"

    voucher_id: Mapped[str] = mapped_column(ForeignKey("vouchers.id"), primary_key=True)
    node_id: Mapped[str] = mapped_column(String(10), index=True)
    csr_digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the request, DER
    certificate: Mapped[bytes] = mapped_column(LargeBinary)  # DER
    spare: Mapped[bytes | None] = mapped_column(LargeBinary)  # the spare key's request, DER
    claimed_us: Mapped[int] = mapped_column(BigInteger)
    # The node id until the node has reported under its own identity, else NULL.
    waiting_for: Mapped[str | None] = mapped_column(String(10), unique=True)
