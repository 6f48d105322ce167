"""Vouchers by a claim token: taken along, and told of afterwards; in the caller's transaction."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from fleet.enrol.claims import Roles
from fleet.identity import claims, tokens, vouchers
from fleet.identity.authority import Authority
from fleet.identity.vouchers import Made
from fleet.identity.wrapping import Wrapper
from fleet.registry import operations as registry


def issue(
    session: Session,
    authority: Authority,
    wrapper: Wrapper,
    roles: Roles,
    secret: bytes,
    *,
    node_type: str,
    area: str,
    days: int,
    requests: Sequence[str],
) -> tuple[str, list[Made]]:
    """Whose token it is, and a voucher for each request; `area` empty: the token's own.

    IdentityError and RegistryError say in one line why not; the transaction must then roll back.
    """
    token = tokens.accept(session, secret)
    place = registry.check_area(session, area or token.area)
    tokens.check_scope(token, node_type, place)
    tokens.take(session, token, len(requests))
    made = vouchers.issue(
        session, authority, wrapper, token.person, place, node_type, roles.of(node_type),
        [request.encode() for request in requests], days,
    )  # fmt: skip
    return token.person, made


def announce(session: Session, secret: bytes, claim_id: str, node_id: str) -> str:
    """The token's person used a voucher for a node; the node's state."""
    token = tokens.accept(session, secret)
    return claims.announce(session, token.person, claim_id, node_id)
