"""Vouchers: claim credentials that a technician takes along to where no network is."""

import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.identity import contexts, operations
from fleet.identity.authority import Authority
from fleet.identity.errors import IdentityError
from fleet.identity.profiles import Issued
from fleet.identity.secret import SecretBytes
from fleet.identity.tables import OscoreContext, Voucher, VoucherClaim
from fleet.identity.wrapping import Wrapper
from fleet.wire import claim, nodeid

MOST = 200  # of one call: what a laptop may take along at a time
MOST_DAYS = 365
DAYS = 90
PAGE = 1000


class Made(NamedTuple):
    """What a laptop keeps of a voucher beside the key that it made itself."""

    claim_id: str
    certificate: bytes  # DER
    kid: bytes
    secret: SecretBytes
    area: str
    not_after_us: int


class Shown(NamedTuple):
    """A voucher as people see it. `state`: fresh, bound, claimed, used, revoked or expired."""

    claim_id: str
    person: str
    area: str
    node_type: str
    state: str
    node_id: str | None
    not_after_us: int


def draw_id() -> str:
    """A claim id of 50 random bits."""
    return "v" + "".join(secrets.choice(nodeid.ALPHABET) for _ in range(claim.ID_LENGTH - 1))


def issue(
    session: Session,
    authority: Authority,
    wrapper: Wrapper,
    person: str,
    area: str,
    node_type: str,
    role: str,
    requests: Sequence[bytes],
    days: int = DAYS,
) -> list[Made]:
    """One voucher for each PEM request, whose CN is a claim id that the laptop drew.

    IdentityError: a bad request, one that came before, too many, too long a life, no such person.
    """
    if not 0 < len(requests) <= MOST:
        raise IdentityError(f"{len(requests)} vouchers at once; 1 to {MOST} are given")
    if not 0 < days <= MOST_DAYS:
        raise IdentityError(f"a voucher lives 1 to {MOST_DAYS} days, not {days}")
    _check_person(person)
    end_expired(session)
    made = []
    for request in requests:
        issued = authority.issue_claim(request, timedelta(days=days))
        _record(session, issued, person, area, node_type, role)
        context = contexts.new_context(session, wrapper, issued.subject)
        made.append(
            Made(
                issued.subject, issued.der, context.kid, context.secret, area,
                int(issued.not_after.timestamp()) * 1_000_000,
            )
        )  # fmt: skip
    return made


def bind(session: Session, person: str, claim_id: str, node_id: str) -> Voucher:
    """Note that `person` used a voucher for a node: no other node gets anything for it.

    IdentityError: it is not of that person, is revoked, or was used by another node.
    """
    found = session.get(Voucher, claim_id, with_for_update=True)
    if found is None or found.person != person:
        raise IdentityError(f"{person} has no voucher {claim_id[:20]!r}: kapok voucher list")
    taken = session.get(VoucherClaim, claim_id)
    holder = found.node_id if taken is None else taken.node_id
    if holder not in (None, node_id):
        raise IdentityError(f"voucher {claim_id} is of node {holder}, not of {node_id}")
    if found.revoked_us is not None and taken is None:
        raise IdentityError(f"voucher {claim_id} is revoked: provision {node_id} anew")
    found.node_id = node_id
    session.flush()
    return found


def revoke(session: Session, ids: Iterable[str] = (), person: str = "") -> list[Shown]:
    """End vouchers, by id, or all of one person; those that were alive, claimed ones included.

    Their certificates are revoked, their keys forgotten: no door opens to them any more. A node
    that has its own identity by then keeps it. IdentityError: an id that is unknown.
    """
    wanted = list(ids)
    query = select(Voucher).where(Voucher.revoked_us.is_(None)).with_for_update()
    if person:
        query = query.where(Voucher.person == person)
    else:
        known = set(session.scalars(select(Voucher.id).where(Voucher.id.in_(wanted))))
        for one in wanted:
            if one not in known:
                raise IdentityError(f"no voucher {one[:20]!r}: kapok voucher list")
        query = query.where(Voucher.id.in_(wanted))
    rows = list(session.scalars(query.order_by(Voucher.id)))
    for row in rows:
        end(session, row)
    return shown(session, [row.id for row in rows])


def end(session: Session, voucher: Voucher, reason: str = "privilege-withdrawn") -> None:
    """Revoke the certificate of one, and forget its key."""
    voucher.revoked_us = now_us()
    operations.revoke(session, int(voucher.serial, 16), reason)
    contexts.retire(session, OscoreContext.node_id == voucher.id)
    session.flush()


def end_expired(session: Session) -> int:
    """Forget the OSCORE keys of vouchers whose time is over: their identifiers are free again."""
    expired = select(Voucher.id).where(Voucher.not_after_us < now_us())
    return contexts.retire(session, OscoreContext.node_id.in_(expired))


def shown(session: Session, ids: Iterable[str]) -> list[Shown]:
    """Those of `ids`."""
    rows = session.execute(
        select(Voucher, VoucherClaim)
        .outerjoin(VoucherClaim, VoucherClaim.voucher_id == Voucher.id)
        .where(Voucher.id.in_(list(ids)))
        .order_by(Voucher.id)
    )
    return [_shown(voucher, taken) for voucher, taken in rows]


def list_vouchers(
    session: Session, person: str = "", after: str = "", limit: int = PAGE
) -> list[Shown]:
    """Vouchers by id, those behind `after`; of one person, or of all."""
    query = select(Voucher.id).where(Voucher.id > after)
    if person:
        query = query.where(Voucher.person == person)
    return shown(session, session.scalars(query.order_by(Voucher.id).limit(min(limit, PAGE))))


def count(session: Session, person: str) -> int:
    """How many a person holds that were never claimed, nor ended."""
    query = (
        select(func.count())
        .select_from(Voucher)
        .outerjoin(VoucherClaim, VoucherClaim.voucher_id == Voucher.id)
        .where(
            Voucher.person == person,
            Voucher.revoked_us.is_(None),
            Voucher.not_after_us >= now_us(),
            VoucherClaim.voucher_id.is_(None),
        )
    )
    return session.scalar(query) or 0


def now_us() -> int:
    """The fleet's clock."""
    return time.time_ns() // 1000


def _check_person(person: str) -> None:
    if not 0 < len(person) <= 100 or not person.isprintable() or person != person.strip():
        raise IdentityError(f"a person's name is 1 to 100 printable signs, not {person[:40]!r}")


def _record(
    session: Session, issued: Issued, person: str, area: str, node_type: str, role: str
) -> None:
    operations.record(session, issued)
    session.add(
        Voucher(
            id=issued.subject,
            serial=operations.serial_text(issued.serial),
            person=person,
            area=area,
            node_type=node_type,
            role=role,
            issued_us=now_us(),
            not_after_us=int(issued.not_after.timestamp()) * 1_000_000,
        )
    )
    try:
        session.flush()
    except IntegrityError:
        raise IdentityError(f"there is a voucher {issued.subject} already: draw others") from None


def _shown(voucher: Voucher, taken: VoucherClaim | None) -> Shown:
    node_id = voucher.node_id if taken is None else taken.node_id
    if taken is not None:
        state = "claimed" if taken.waiting_for else "used"
    elif voucher.revoked_us is not None:
        state = "revoked"
    elif voucher.not_after_us < now_us():
        state = "expired"
    else:
        state = "fresh" if node_id is None else "bound"
    return Shown(
        voucher.id, voucher.person, voucher.area, voucher.node_type, state, node_id,
        voucher.not_after_us,
    )  # fmt: skip
