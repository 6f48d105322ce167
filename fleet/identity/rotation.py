"""A new certificate over the air: for the spare key whose request the fleet has.

A node cannot sign a request, and a key made by the fleet would be known to it. So a node carries
one spare key between two visits, and rotates once between them; with certificates of ten years
that is once in the life of its battery. All work in the caller's transaction.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fleet.alarms import operations as alarms
from fleet.control import operations as control
from fleet.identity import csr
from fleet.identity.authority import Authority
from fleet.identity.errors import IdentityError
from fleet.identity.operations import issue_next, promote, serial_text
from fleet.identity.profiles import key_digest
from fleet.identity.tables import Certificate, SpareRequest
from fleet.identity.token_tables import TokenClaim
from fleet.registry.operations import now_us
from fleet.wire import cbor

KIND = "rotation"  # of alarm
BATCH = 50  # certificates at a time


def store_spare(session: Session, node_id: str, csr_der: bytes) -> None:
    """Keep the request of a node's spare key, in place of an earlier one.

    IdentityError: a bad request, another node's, or a key that is known already.
    """
    request = csr.check(csr.pem(csr_der))
    if request.node_id != node_id:
        raise IdentityError(f"the spare request is one of {request.node_id}, not of {node_id}")
    digest = key_digest(request.key)
    known = session.scalar(
        select(Certificate.subject).where(Certificate.key_digest == digest).limit(1)
    ) or session.scalar(
        select(SpareRequest.node_id)
        .where(SpareRequest.key_digest == digest, SpareRequest.node_id != node_id)
        .limit(1)
    )
    if known is not None:
        raise IdentityError(
            f"the spare key of node {node_id} is known already, of {known}: make a new one"
        )
    session.execute(delete(SpareRequest).where(SpareRequest.node_id == node_id))
    session.add(
        SpareRequest(node_id=node_id, csr=bytes(csr_der), key_digest=digest, stored_us=now_us())
    )
    session.flush()


def rotate(session: Session, authority: Authority, node_id: str) -> int:
    """Certify a node's spare key and queue the certificate; the number of the item.

    While one is on its way, that one's. IdentityError when the node has no spare.
    """
    row = session.get(SpareRequest, node_id, with_for_update=True)
    if row is None:
        raise IdentityError(
            f"node {node_id} has no spare key: it gets one at the next visit (kapok provision)"
        )
    claimed = session.scalar(
        select(TokenClaim.node_id)
        .join(Certificate, Certificate.serial == TokenClaim.serial)
        .where(Certificate.next_for == node_id, TokenClaim.confirmed_us.is_(None))
    )
    if claimed is not None:
        raise IdentityError(f"node {node_id} was claimed and not confirmed: kapok provision")
    if row.downlink is not None and _is_on_its_way(session, row):
        return row.downlink
    issued = issue_next(session, authority, csr.pem(row.csr))
    row.downlink = control.enqueue(
        session, node_id, control.CERTIFICATE, cbor.encode([issued.der])
    )
    row.serial = serial_text(issued.serial)
    session.flush()
    return row.downlink


def rotate_due(
    session: Session, authority: Authority, within_us: int, limit: int = BATCH
) -> list[str]:
    """Rotate the certificates that end soonest and within `within_us`; the node ids.

    Found by an index on the end; those already rotated once are not looked at again.
    """
    due = session.scalars(
        select(SpareRequest.node_id)
        .join(Certificate, Certificate.active_for == SpareRequest.node_id)
        .where(
            SpareRequest.serial.is_(None),
            Certificate.not_after_us < now_us() + within_us,
            SpareRequest.node_id.not_in(
                select(Certificate.next_for)
                .join(TokenClaim, TokenClaim.serial == Certificate.serial)
                .where(Certificate.next_for.is_not(None), TokenClaim.confirmed_us.is_(None))
            ),
        )
        .order_by(Certificate.not_after_us)
        .limit(limit)
    ).all()
    for node_id in due:
        rotate(session, authority, node_id)
    return list(due)


def used(session: Session, node_id: str, serial: int) -> bool:
    """A node has proved by TLS that it uses a certificate: if it is the one that it was to change
    to, the old one is revoked. False when it is not.
    """
    if not promote(session, node_id, serial):
        return False
    _spent(session, node_id, serial_text(serial))
    return True


def awaited(session: Session, serials: Iterable[int]) -> list[int]:
    """Those of `serials` that nodes are to change to."""
    found = session.scalars(
        select(Certificate.serial).where(
            Certificate.serial.in_([serial_text(each) for each in serials]),
            Certificate.next_for.is_not(None),
        )
    )
    return [int(serial, 16) for serial in found]


def used_serials(session: Session, serials: Iterable[int]) -> list[str]:
    """As `used`, for several connections; the nodes that have changed."""
    waiting = session.execute(
        select(Certificate.next_for, Certificate.serial).where(
            Certificate.serial.in_([serial_text(each) for each in serials]),
            Certificate.next_for.is_not(None),
        )
    ).all()
    return [node for node, serial in waiting if node and used(session, node, int(serial, 16))]


def told(session: Session, progress: Mapping[str, tuple[int, int, int]]) -> None:
    """What nodes told of their items (highest handled, CONFIG applied, refused last).

    A certificate that was handled and not refused is in the node's NVS. Where a later item was
    refused it is not known whether this one was too: then only its use counts. A node that is
    ahead of a database that was restored has not taken the item of that number; it gets another.
    """
    named = {node_id: numbers for node_id, numbers in progress.items() if numbers[0]}
    if not named:
        return
    rows = session.scalars(
        select(SpareRequest)
        .where(SpareRequest.node_id.in_(list(named)), SpareRequest.downlink.is_not(None))
        .order_by(SpareRequest.node_id)
    ).all()
    ahead = control.ahead(session, {row.node_id: named[row.node_id][0] for row in rows})
    for row in rows:
        if row.node_id in ahead:
            row.serial = row.downlink = None
            continue
        handled, _, refused = named[row.node_id]
        if row.downlink is None or row.serial is None or handled < row.downlink:
            continue
        if refused < row.downlink:
            used(session, row.node_id, int(row.serial, 16))
        elif refused == row.downlink:
            _refused(session, row.node_id)


def without_spare(session: Session, before_us: int, limit: int) -> list[tuple[str, int]]:
    """(node id, end in us) of live certificates that end before and have no spare to follow."""
    found = session.execute(
        select(Certificate.active_for, Certificate.not_after_us)
        .outerjoin(SpareRequest, SpareRequest.node_id == Certificate.active_for)
        .where(
            Certificate.active_for.is_not(None),
            SpareRequest.node_id.is_(None),
            Certificate.not_after_us < before_us,
        )
        .order_by(Certificate.not_after_us)
        .limit(limit)
    )
    return [(node_id or "", end) for node_id, end in found]


def _is_on_its_way(session: Session, row: SpareRequest) -> bool:
    waits = session.scalar(
        select(Certificate.serial).where(
            Certificate.serial == row.serial, Certificate.next_for == row.node_id
        )
    )
    number = row.downlink or 0
    return waits is not None and control.is_open(session, row.node_id, number)


def _refused(session: Session, node_id: str) -> None:
    ends = session.scalar(
        select(Certificate.not_after_us).where(Certificate.active_for == node_id)
    )
    until = datetime.fromtimestamp((ends or 0) / 1e6, UTC).date().isoformat()
    alarms.raise_alarm(
        session, KIND, node_id,
        {"node": node_id, "reason": "refused, its spare key is another", "until": until},
    )  # fmt: skip


def _spent(session: Session, node_id: str, serial: str) -> None:
    session.execute(
        delete(SpareRequest).where(SpareRequest.node_id == node_id, SpareRequest.serial == serial)
    )
    alarms.clear(session, KIND, node_id)
