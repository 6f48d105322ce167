"""Enrol, record, revoke: what changes the certificate tables, in the caller's transaction."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.identity.authority import Authority, Revoked
from fleet.identity.errors import IdentityError
from fleet.identity.profiles import NODE, Issued
from fleet.identity.tables import Certificate, RevokedSerial

REASONS = {
    "unspecified": x509.ReasonFlags.unspecified,
    "key-compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
    "privilege-withdrawn": x509.ReasonFlags.privilege_withdrawn,
}


def serial_text(serial: int) -> str:
    """The 40 hex digits by which the tables know a serial number."""
    return f"{serial:040x}"


def enrol(session: Session, authority: Authority, csr_pem: bytes | str) -> Issued:
    """Issue a node's certificate and record it.

    Refused with IdentityError: a bad request, a node that holds a live certificate, and a key
    that another node was certified with (a clone).
    """
    issued = _issue(session, authority, csr_pem)
    node_id = issued.subject
    session.execute(
        update(Certificate)
        .where(Certificate.active_for == node_id, Certificate.not_after_us < _now_us())
        .values(active_for=None)
    )
    live = session.scalar(select(Certificate.serial).where(Certificate.active_for == node_id))
    if live is not None:
        raise IdentityError(f"node {node_id} holds certificate {live}: revoke it first")
    record(session, issued)
    return issued


def issue_next(session: Session, authority: Authority, csr_pem: bytes | str) -> Issued:
    """Issue the certificate that a node is to change to; the one in use stays until `promote`.

    One that was issued before and never used is revoked. IdentityError as in `enrol`, but that
    the node may hold a live certificate.
    """
    issued = _issue(session, authority, csr_pem)
    _supersede(session, Certificate.next_for == issued.subject)
    record(session, issued, next_one=True)
    return issued


def promote(session: Session, node_id: str, serial: int) -> bool:
    """The node uses (or surely has) the certificate that it was to change to: the old one is
    revoked as superseded. False when `serial` is not that certificate.
    """
    waiting = session.scalar(
        select(Certificate)
        .where(Certificate.next_for == node_id, Certificate.serial == serial_text(serial))
        .with_for_update()
    )
    if waiting is None:
        return False
    _supersede(session, Certificate.active_for == node_id)
    waiting.active_for, waiting.next_for = node_id, None
    session.flush()
    return True


def _issue(session: Session, authority: Authority, csr_pem: bytes | str) -> Issued:
    issued = authority.issue_node(csr_pem)
    other = session.scalar(
        select(Certificate.subject)
        .where(Certificate.key_digest == issued.key_digest, Certificate.subject != issued.subject)
        .limit(1)
    )
    if other is not None:
        raise IdentityError(
            f"the key of node {issued.subject} is that of node {other}: make a new one"
        )
    return issued


def _supersede(session: Session, which: ColumnElement[bool]) -> None:
    held = select(Certificate.serial).where(which).with_for_update()
    for serial in session.scalars(held).all():
        revoke(session, int(serial, 16), "superseded")


def record(session: Session, issued: Issued, *, next_one: bool = False) -> None:
    """Note an issued certificate of any kind; `next_one`: a node is to change to it."""
    node_id = issued.subject if issued.kind == NODE else None
    session.add(
        Certificate(
            serial=serial_text(issued.serial),
            subject=issued.subject,
            kind=issued.kind,
            active_for=None if next_one else node_id,
            next_for=node_id if next_one else None,
            issued_us=_now_us(),
            not_after_us=_us(issued.not_after),
            fingerprint=issued.fingerprint,
            key_digest=issued.key_digest,
        )
    )
    try:
        session.flush()
    except IntegrityError:
        raise IdentityError(
            f"node {issued.subject} was enrolled by somebody else at the same moment"
        ) from None


def revoke(session: Session, which: int | str, reason: str = "unspecified") -> list[int]:
    """Revoke one serial number, or the live certificate of a node id; the serials newly revoked.

    An empty list: it was revoked before. IdentityError: no such certificate, or no such reason.
    """
    if reason not in REASONS:
        raise IdentityError(f"no such reason: {reason[:30]!r}; one of {', '.join(REASONS)}")
    wanted = serial_text(which) if isinstance(which, int) else which.lower()
    found = session.execute(
        select(Certificate.serial, RevokedSerial.id)
        .outerjoin(RevokedSerial, RevokedSerial.serial == Certificate.serial)
        .where((Certificate.serial == wanted) | (Certificate.subject == wanted))
    ).all()
    if not found:
        raise IdentityError(
            f"no certificate of {wanted[:40]!r}: give a node id or a serial number"
        )
    fresh = [serial for serial, revoked_id in found if revoked_id is None]
    for serial in fresh:
        session.add(RevokedSerial(serial=serial, revoked_us=_now_us(), reason=reason))
    session.execute(
        update(Certificate)
        .where(Certificate.serial.in_(fresh))
        .values(active_for=None, next_for=None)
    )
    session.flush()
    return [int(serial, 16) for serial in fresh]


def revoked_serials(session: Session) -> set[int]:
    """All revoked serial numbers."""
    return {int(serial, 16) for serial in session.scalars(select(RevokedSerial.serial))}


def revocation_list(session: Session) -> list[Revoked]:
    """The entries that a CRL must carry: revoked, and not past their own end."""
    rows = session.execute(
        select(RevokedSerial.serial, RevokedSerial.revoked_us, RevokedSerial.reason)
        .join(Certificate, Certificate.serial == RevokedSerial.serial)
        .where(Certificate.not_after_us >= _now_us())
        .order_by(RevokedSerial.id)
    )
    return [
        Revoked(int(serial, 16), datetime.fromtimestamp(when // 1_000_000, UTC), REASONS[reason])
        for serial, when, reason in rows
    ]


def live_fingerprints(session: Session, node_ids: Iterable[str]) -> set[str]:
    """SHA-256 in hex of the certificates that these nodes use, or are to change to."""
    wanted = list(node_ids)
    mine = Certificate.active_for.in_(wanted) | Certificate.next_for.in_(wanted)
    return set(session.scalars(select(Certificate.fingerprint).where(mine)))


def certificates_of(session: Session, subject: str) -> list[Certificate]:
    """The certificates that a node id, or a service, ever had; newest first."""
    query = select(Certificate).where(Certificate.subject == subject)
    return list(session.scalars(query.order_by(Certificate.issued_us.desc())))


def _now_us() -> int:
    return time.time_ns() // 1000


def _us(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000
