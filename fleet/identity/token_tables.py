"""Tables of online provisioning: claim tokens, what was claimed by them, HMAC keys of nodes."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class ClaimToken(Base):
    """A right to provision `count` boards; the secret itself is in nobody's database."""

    __tablename__ = "claim_tokens"
    __table_args__ = (
        CheckConstraint("used >= 0 AND used <= count", name="not_overdrawn"),
        {"sqlite_autoincrement": True},  # an id that people wrote down never means another
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    # SHA-256 of the secret, hex: 128 random bits need no slower hash.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    person: Mapped[str] = mapped_column(String(100), index=True)
    area: Mapped[str] = mapped_column(String(12))  # a prefix of area codes
    node_type: Mapped[str] = mapped_column(String(40))
    policy: Mapped[str] = mapped_column(String(16))
    count: Mapped[int] = mapped_column(Integer)
    used: Mapped[int] = mapped_column(Integer)
    created_us: Mapped[int] = mapped_column(BigInteger)
    expires_us: Mapped[int] = mapped_column(BigInteger)
    revoked_us: Mapped[int | None] = mapped_column(BigInteger)


class TokenClaim(Base):
    """A node that was claimed with a token: its newest certificate, and whether it is confirmed.

    One row for each (token, node): an unconfirmed one is repeated without another count.
    """

    __tablename__ = "token_claims"

    token_id: Mapped[int] = mapped_column(ForeignKey("claim_tokens.id"), primary_key=True)
    node_id: Mapped[str] = mapped_column(String(10), primary_key=True)
    serial: Mapped[str] = mapped_column(String(40))
    policy: Mapped[str] = mapped_column(String(16))  # as decided: never "ask"; "first": unknown
    area: Mapped[str] = mapped_column(String(12))  # for a node that is registered anew
    uses: Mapped[int] = mapped_column(Integer)
    claimed_us: Mapped[int] = mapped_column(BigInteger)
    confirmed_us: Mapped[int | None] = mapped_column(BigInteger)


class NodeHmacKey(Base):
    """The key by which a node knows the fleet's assignments, wrapped. `state`: next or current."""

    __tablename__ = "node_hmac_keys"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    node_id: Mapped[str] = mapped_column(String(10), index=True)
    # The node id while this is the node's current, or next, key, else NULL: constraints.
    current_for: Mapped[str | None] = mapped_column(String(10), unique=True)
    next_for: Mapped[str | None] = mapped_column(String(10), unique=True)
    secret: Mapped[bytes] = mapped_column(LargeBinary(80))  # wrapped
    created_us: Mapped[int] = mapped_column(BigInteger)
