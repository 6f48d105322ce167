"""Claim tokens: made, listed, revoked, used up one node at a time; in the caller's transaction.

A token's count is taken by one conditional UPDATE in the transaction that issues the certificate,
so that it can never be overdrawn, on SQLite or PostgreSQL, however many redeem it at once.
"""

import hashlib
import time
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from fleet.identity import token_text
from fleet.identity.contexts import rows_of
from fleet.identity.errors import IdentityError
from fleet.identity.token_tables import ClaimToken, TokenClaim
from fleet.registry.operations import check_text

KEEP_IDENTITY, KEEP_HISTORY, NEW, ASK = "keep-identity", "keep-history", "new", "ask"
POLICIES = (KEEP_IDENTITY, KEEP_HISTORY, NEW, ASK)
MAX_COUNT = 10_000
MAX_DAYS = 366
PAGE = 1000  # rows of any list at most
_DAY_US = 86_400_000_000
_SPENT = "all boards of the token are provisioned: ask for another token"


class TokenRefused(IdentityError):
    """Unknown, expired or revoked: one text for all, so that a guesser learns nothing."""

    def __init__(self) -> None:
        super().__init__("the token is not accepted: ask for a new one (kapok token add)")


class TokenSpent(IdentityError):
    """All boards of the token are provisioned."""


class TokenMismatch(IdentityError):
    """The token is good, but not for this area or node type."""


class Token(NamedTuple):
    """A good token as whoever redeems it may use it."""

    id: int
    person: str
    area: str
    node_type: str
    policy: str


class Listed(NamedTuple):
    """A token as people see it; times in us since 1970 UTC. `state`: good or why not."""

    id: int
    person: str
    area: str
    node_type: str
    policy: str
    boards: int
    used: int
    state: str
    created_us: int
    expires_us: int


def add(
    session: Session,
    fleet: bytes,
    *,
    person: str,
    area: str,
    node_type: str,
    count: int,
    days: int,
    policy: str = ASK,
) -> tuple[int, str]:
    """Make a token; its id, and its text, which is nowhere else.

    `fleet` is token_text.fleet_digest of the root CA. That area and node type exist is for the
    caller to see. IdentityError, RegistryError for what is out of bounds.
    """
    check_text(person, "the person's name")
    if policy not in POLICIES:
        raise IdentityError(f"policy {policy[:20]!r}: one of {', '.join(POLICIES)}")
    if not 0 < count <= MAX_COUNT:
        raise IdentityError(f"a token is for 1 to {MAX_COUNT} boards, not {count}")
    if not 0 < days <= MAX_DAYS:
        raise IdentityError(f"a token lasts 1 to {MAX_DAYS} days, not {days}")
    token = token_text.draw(fleet)
    now = _now_us()
    row = ClaimToken(
        digest=digest(token.secret), person=person, area=area, node_type=node_type,
        policy=policy, count=count, used=0, created_us=now, expires_us=now + days * _DAY_US,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row.id, token_text.encode(token)


def digest(secret: bytes) -> str:
    """By what a secret is known: an index of digests tells by its timing nothing of a secret."""
    return hashlib.sha256(b"kapok claim token\0" + secret).hexdigest()


def accept(session: Session, secret: bytes) -> Token:
    """The good token of this secret, its row locked; TokenRefused for any other.

    Unknown, expired and revoked take the same way: one query that finds nothing.
    """
    row = ClaimToken
    found = session.execute(
        select(row.id, row.person, row.area, row.node_type, row.policy)
        .where(row.digest == digest(secret), *_good(_now_us()))
        .with_for_update()
    ).first()
    if found is None:
        raise TokenRefused
    return Token(*found)


def check_scope(token: Token, node_type: str, area: str) -> None:
    """TokenMismatch unless the token is for this node type and for an area of its prefix."""
    if node_type != token.node_type:
        raise TokenMismatch(f"the token is for {token.node_type} nodes, not for {node_type[:40]}")
    if not area.startswith(token.area):
        raise TokenMismatch(f"the token is for area {token.area}, not for {area[:12]}")


def claim_of(session: Session, token: Token, node_id: str) -> TokenClaim | None:
    """What the token was used for on a node so far."""
    return session.get(TokenClaim, (token.id, node_id))


def check_left(session: Session, token: Token, node_id: str) -> None:
    """TokenSpent when `redeem` surely would say so: before anything is signed for nothing."""
    held = claim_of(session, token, node_id)
    if held is not None and held.confirmed_us is None:
        return
    row = ClaimToken
    left = select(row.id).where(row.id == token.id, row.used < row.count)
    if session.scalar(left) is None:
        raise TokenSpent(_SPENT)


def redeem(
    session: Session, token: Token, node_id: str, *, serial: str, policy: str, area: str
) -> TokenClaim:
    """Use the token for a node whose certificate `serial` was issued in this transaction.

    Takes one of its count unless the node's last claim by it is still unconfirmed. TokenSpent
    when none is left, TokenRefused when it ended since `accept`: then nothing may be committed.
    """
    held = claim_of(session, token, node_id)
    if held is None or held.confirmed_us is not None:
        _take(session, token)
    if held is None:
        held = TokenClaim(token_id=token.id, node_id=node_id, uses=0)
        session.add(held)
    elif held.confirmed_us is None:
        held.uses -= 1  # the same use again
    held.serial, held.policy, held.area = serial, policy, area
    held.uses += 1
    held.claimed_us, held.confirmed_us = _now_us(), None
    session.flush()
    return held


def take(session: Session, token: Token, number: int) -> None:
    """Use the token for so many boards whose ids are not known yet; TokenSpent."""
    _take(session, token, number)


def _take(session: Session, token: Token, number: int = 1) -> None:
    row = ClaimToken
    taken = session.scalar(
        update(row)
        .where(row.id == token.id, row.used + number <= row.count, *_good(_now_us()))
        .values(used=row.used + number)
        .returning(row.id)
    )
    if taken is None and number > 1:
        raise TokenSpent(f"the token has fewer than {number} boards left: ask for fewer")
    if taken is None:
        raise TokenSpent(_SPENT)


def revoke(session: Session, which: ColumnElement[bool]) -> int:
    """End the tokens that `which` selects at once; how many were not revoked before."""
    changed = session.execute(
        update(ClaimToken)
        .where(which, ClaimToken.revoked_us.is_(None))
        .values(revoked_us=_now_us())
    )
    return rows_of(changed)


def of_person(person: str) -> ColumnElement[bool]:
    """The tokens of one person: a laptop was stolen."""
    return ClaimToken.person == person


def of_id(token_id: int) -> ColumnElement[bool]:
    """One token."""
    return ClaimToken.id == token_id


def list_(session: Session, person: str = "", limit: int = PAGE) -> list[Listed]:
    """The newest tokens, oldest of them first."""
    query = select(ClaimToken).order_by(ClaimToken.id.desc()).limit(min(limit, PAGE))
    if person:
        query = query.where(ClaimToken.person == person)
    now = _now_us()
    return [
        Listed(
            row.id, row.person, row.area, row.node_type, row.policy, row.count, row.used,
            _state(row, now), row.created_us, row.expires_us,
        )
        for row in reversed(list(session.scalars(query)))
    ]  # fmt: skip


def _state(row: ClaimToken, now: int) -> str:
    if row.revoked_us is not None:
        return "revoked"
    if row.expires_us <= now:
        return "expired"
    return "spent" if row.used >= row.count else "good"


def _good(now: int) -> tuple[ColumnElement[bool], ...]:
    return ClaimToken.revoked_us.is_(None), ClaimToken.expires_us > now


def _now_us() -> int:
    return time.time_ns() // 1000
