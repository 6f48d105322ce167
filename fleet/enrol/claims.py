"""Look, claim, confirm: what a token lets a technician do for one board.

All in the caller's transaction, which must roll back where one of them raises.

A claim issues what the board is to change to; nothing that is in use ends before the confirmation,
or before the board's first use of it.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.clones import operations as clones
from fleet.control import operations as control
from fleet.identity import contexts, hmac_keys, operations, oscore, rotation, tokens
from fleet.identity.authority import Authority
from fleet.identity.csr import check as check_request
from fleet.identity.csr import der as csr_der
from fleet.identity.errors import IdentityError
from fleet.identity.oscore import NewContext
from fleet.identity.profiles import Issued
from fleet.identity.secret import SecretBytes
from fleet.identity.tables import Certificate, OscoreContext
from fleet.identity.token_tables import TokenClaim
from fleet.identity.tokens import ASK, KEEP_HISTORY, KEEP_IDENTITY, NEW, POLICIES, Token
from fleet.identity.wrapping import Wrapper
from fleet.registry import again
from fleet.registry import operations as registry
from fleet.registry.tables import Area, Terminal
from fleet.uplink import contents
from fleet.wire import cbor

# What a board is to the fleet, as `look` answers.
UNKNOWN = "unknown"  # never registered: claim it
UNCONFIRMED = "unconfirmed"  # claimed by this token and not confirmed: claim it again
PENDING = "pending"  # it holds all of what was claimed by this token: confirm it
LIVE = "live"  # it holds all of what is in use: leave it
REGISTERED = "registered"  # known, and holds something else or nothing: a policy decides
FIRST = "first"  # the policy of a node that was not registered


class PolicyNeeded(IdentityError):
    """The node is registered, and neither the token nor the technician said what is to be."""


class NotClaimed(IdentityError):
    """There is nothing of this token to be confirmed for the node."""


class Holds(NamedTuple):
    """SHA-256 in hex of what a board's NVS holds; empty where something is not whole."""

    certificate: str = ""
    oscore: str = ""
    hmac: str = ""


class Seen(NamedTuple):
    """What the fleet knows of a board; `policy` is the token's, `serial` of what it holds."""

    state: str
    policy: str
    serial: str
    area: str
    last_report_us: int | None


class Claimed(NamedTuple):
    """What goes onto a board. `downlinks`: numbers [handled, applied, refused] that go on."""

    issued: Issued
    oscore: NewContext
    hmac: SecretBytes
    policy: str
    area: str
    role: str
    configuration: dict[str, object]
    downlinks: tuple[int, int, int]


class Roles(NamedTuple):
    """The role that a node of each type has, and the board that it is made of."""

    by_type: Mapping[str, str]
    boards: Mapping[str, str] = MappingProxyType({})

    def of(self, node_type: str) -> str:
        """IdentityError for a type that no file of hw/nodes describes."""
        role = self.by_type.get(node_type)
        if role is None:
            raise IdentityError(f"no such node type: {node_type[:40]!r}")
        return role


def look(
    session: Session, wrapper: Wrapper, secret: bytes, node_id: str, node_type: str, holds: Holds
) -> Seen:
    """What a board with these things in its NVS is to the fleet. Changes nothing."""
    token = tokens.accept(session, secret)
    registry.check_node_id(node_id)
    tokens.check_scope(token, node_type, token.area)
    known = session.get(Terminal, node_id)
    if known is None:
        return Seen(UNKNOWN, token.policy, "", token.area, None)
    tokens.check_scope(token, node_type, known.area_code)
    state, serial = _standing(session, wrapper, token, node_id, holds)
    if state == LIVE and known.state != "active":
        state, serial = REGISTERED, ""  # its keys are to be others
    return Seen(state, token.policy, serial, known.area_code, known.last_report_us)


def _standing(
    session: Session, wrapper: Wrapper, token: Token, node_id: str, holds: Holds
) -> tuple[str, str]:
    certificate = session.scalar(
        select(Certificate).where(
            Certificate.subject == node_id, Certificate.fingerprint == holds.certificate
        )
    )
    claim = tokens.claim_of(session, token, node_id)
    unconfirmed = claim is not None and claim.confirmed_us is None
    pending = claim.serial if claim is not None and unconfirmed else ""
    if certificate is not None and _has_keys(session, wrapper, node_id, holds):
        if certificate.active_for is not None:
            # Its first use may have promoted it before the technician's confirmation came.
            state = PENDING if pending == certificate.serial else LIVE
            return state, certificate.serial
        if certificate.next_for and pending == certificate.serial:
            return PENDING, certificate.serial
    return (UNCONFIRMED if unconfirmed else REGISTERED), ""


def _has_keys(session: Session, wrapper: Wrapper, node_id: str, holds: Holds) -> bool:
    kids = select(OscoreContext.kid).where(
        OscoreContext.node_id == node_id, OscoreContext.kid.is_not(None)
    )
    live = contexts.find(session, wrapper, [kid for kid in session.scalars(kids) if kid])
    blobs = {_sha256(cbor.encode([one.kid, one.secret])) for one in live.values()}
    keys = {_sha256(key) for key in hmac_keys.keys(session, wrapper, node_id)}
    return holds.oscore in blobs and holds.hmac in keys


def claim(
    session: Session,
    authority: Authority,
    wrapper: Wrapper,
    roles: Roles,
    secret: bytes,
    *,
    node_id: str,
    node_type: str,
    csr: str,
    spare_csr: str,
    area: str = "",
    policy: str = "",
) -> Claimed:
    """Issue everything that a board gets, and take the board off the token's count.

    IdentityError and RegistryError say in one line why not; the transaction must then roll back.
    `area` empty: the token's own; `policy` empty: the token's.
    """
    token = tokens.accept(session, secret)
    registry.check_node_id(node_id)
    for request in (csr, spare_csr):
        if check_request(request).node_id != node_id:
            raise IdentityError(f"the CSR is not of node {node_id}: make it anew")
    if check_request(csr).key == check_request(spare_csr).key:
        raise IdentityError("both CSRs are of one key: the spare key is another one")
    known = session.get(Terminal, node_id)
    role = roles.of(node_type)
    if known is None:
        decided, place = FIRST, area or token.area
    else:
        tokens.check_scope(token, node_type, known.area_code)
        decided = _decide(session, token, known, policy)
        place = (area or known.area_code) if decided == NEW else known.area_code
        _check_again(known, role, decided)
    tokens.check_scope(token, node_type, place)
    if session.get(Area, place) is None:
        raise IdentityError(f"area {place} is unknown: name one by --area, or kapok area add")
    if known is None:
        registry.add_node(session, node_id, role, place)
    tokens.check_left(session, token, node_id)
    issued = operations.issue_next(session, authority, csr)
    rotation.store_spare(session, node_id, csr_der(spare_csr))
    context = oscore.provide(session, wrapper, node_id)
    key = hmac_keys.next_key(session, wrapper, node_id)
    tokens.redeem(
        session, token, node_id, serial=operations.serial_text(issued.serial), policy=decided,
        area=place,
    )  # fmt: skip
    kept = decided == KEEP_IDENTITY
    return Claimed(
        issued, context, key, decided, place, role,
        _configuration(session, node_id) if kept else {},
        _downlinks(session, node_id) if decided != FIRST else (0, 0, 0),
    )  # fmt: skip


def _decide(session: Session, token: Token, known: Terminal, policy: str) -> str:
    held = tokens.claim_of(session, token, known.id)
    if (
        held is not None
        and held.confirmed_us is None
        and (held.policy not in (KEEP_IDENTITY, FIRST) or known.state == "active")
    ):
        return held.policy  # the same claim again: it was decided then
    if policy and policy not in POLICIES:
        raise IdentityError(f"policy {policy[:20]!r}: one of {', '.join(POLICIES)}")
    if token.policy not in (ASK, policy) and policy not in ("", ASK):
        raise IdentityError(f"the token allows {token.policy}, not {policy}")
    decided = policy if token.policy == ASK else token.policy
    if decided in ("", ASK):
        raise PolicyNeeded(
            f"node {known.id} is registered: --again keep-identity, keep-history or new"
        )
    return decided


def _check_again(known: Terminal, role: str, policy: str) -> None:
    if policy != NEW and known.role != role:
        raise IdentityError(
            f"node {known.id} is a {known.role}, and this type is a {role}: --again new"
        )
    if policy in (KEEP_IDENTITY, FIRST) and known.state != "active":
        raise IdentityError(
            f"node {known.id} is {known.state}, its identity is not kept:"
            " --again keep-history or new"
        )


def confirm(
    session: Session, roles: Roles, secret: bytes, node_id: str, serial: str
) -> TokenClaim:
    """The board surely holds what was claimed: it is in use from now on. Twice is once.

    NotClaimed when something else was claimed meanwhile, or nothing.
    """
    token = tokens.accept(session, secret)
    held = tokens.claim_of(session, token, registry.check_node_id(node_id))
    if held is None or held.serial != serial:
        raise NotClaimed(f"node {node_id} was claimed anew meanwhile: provision it again")
    if held.confirmed_us is not None:
        return held
    if not operations.promote(session, node_id, int(serial, 16)):
        row = session.get(Certificate, serial)
        if row is None or row.active_for != node_id:
            raise NotClaimed(f"node {node_id} was claimed anew meanwhile: provision it again")
    oscore.settle_next(session, node_id, held.claimed_us)
    hmac_keys.promote(session, node_id)
    if held.policy in (KEEP_HISTORY, NEW):
        control.cancel(session, node_id)
        again.reactivate(session, node_id)
        clones.forget(session, node_id, token.person)
        contents.forget(session, node_id)
    if held.policy == NEW:
        again.serve_anew(session, node_id, roles.of(token.node_type), held.area)
    again.on_board(session, node_id, roles.boards.get(token.node_type))
    held.confirmed_us = registry.now_us()
    session.flush()
    return held


def _configuration(session: Session, node_id: str) -> dict[str, object]:
    from fleet.control.configuration import applied

    return dict(applied(session, node_id).values)


def _downlinks(session: Session, node_id: str) -> tuple[int, int, int]:
    told = control.progress(session, node_id)
    return told.handled, told.applied, told.refused


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
