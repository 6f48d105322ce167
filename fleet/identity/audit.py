"""The audit of identities: what is weak, shared, about to end, or alive where it should not be."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import func, inspect, select, text
from sqlalchemy.orm import Session

from fleet.identity import csr
from fleet.identity.authority import Authority
from fleet.identity.contexts import RETIRED
from fleet.identity.errors import IdentityError
from fleet.identity.rotation import without_spare
from fleet.identity.tables import Certificate, OscoreContext, SpareRequest
from fleet.registry.operations import now_us
from fleet.registry.tables import Terminal

CRITICAL, WARNING = "critical", "warning"
MOST = 100  # findings of one check that are listed; more of them are counted
CRL_DAYS = 7
TOKEN_DAYS = 366
DAY_US = 86400 * 1_000_000
GONE = ("revoked", "retired")
_FILES = ("root.crt", "issuing.crt", "server.crt", "fleet.crt")
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Finding(NamedTuple):
    """`check` names texts of the catalogue, `audit.<check>` and `advice.<check>`."""

    check: str
    severity: str
    subject: str
    detail: dict[str, str | int]


def audit(session: Session, authority: Authority, days: int) -> list[Finding]:
    """All findings, the critical ones first; `days` is how near an end is near."""
    found = [*_files(authority, days), *_crl(authority)]
    for check in (
        _weak_spares, _shared_keys, _ends, _alive_but_gone, _keys_of_gone, _no_spare, _untrusted,
        _tokens, _cards,
    ):  # fmt: skip
        found += _bounded(check, session, days)
    return sorted(found, key=lambda finding: finding.severity != CRITICAL)


def _bounded(
    check: Callable[[Session, int], Iterator[Finding]], session: Session, days: int
) -> list[Finding]:
    found: list[Finding] = []
    for finding in check(session, days):
        if len(found) == MOST:
            found.append(finding._replace(subject="…", detail={**finding.detail, "node": "…"}))
            break
        found.append(finding)
    return found


def _files(authority: Authority, days: int) -> Iterator[Finding]:
    for name in _FILES:
        try:
            certificate = x509.load_pem_x509_certificate((authority.folder / name).read_bytes())
        except (OSError, ValueError):
            yield Finding("missing", CRITICAL, name, {"file": name})
            continue
        why = _weak(certificate)
        if why:
            yield Finding("weak", CRITICAL, name, {"file": name, "why": why})
        left = (certificate.not_valid_after_utc - datetime.now(UTC)).days
        if left < days:
            severity = CRITICAL if left < 0 or name in _FILES[:2] else WARNING
            yield Finding("ending-file", severity, name, {"file": name, "days": left})
    for path in sorted(authority.folder.glob("*.key")):
        if path.stat().st_mode & 0o077:
            yield Finding("readable", CRITICAL, path.name, {"file": path.name})


def _weak(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if not isinstance(certificate.signature_hash_algorithm, _HASHES):
        return "hash"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "" if isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1) else key.curve.name
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size >= 3072 else f"RSA {key.key_size}"
    return type(key).__name__


def _crl(authority: Authority) -> Iterator[Finding]:
    try:
        left = (authority.crl_next_update() - datetime.now(UTC)).days
    except IdentityError:
        left = -1
    if left < CRL_DAYS:
        yield Finding("crl", CRITICAL, authority.crl_path.name, {"days": left})


def _weak_spares(session: Session, _days: int) -> Iterator[Finding]:
    for row in session.scalars(select(SpareRequest)).yield_per(1000):
        try:
            csr.check(csr.pem(row.csr))
        except IdentityError as e:
            detail: dict[str, str | int] = {"node": row.node_id, "why": str(e)}
            yield Finding("weak-spare", CRITICAL, row.node_id, detail)


def _shared_keys(session: Session, _days: int) -> Iterator[Finding]:
    shared = (
        select(Certificate.key_digest)
        .group_by(Certificate.key_digest)
        .having(func.count(func.distinct(Certificate.subject)) > 1)
    )
    for digest in session.scalars(shared).all():
        rows = select(Certificate.subject).where(Certificate.key_digest == digest).distinct()
        nodes = sorted(session.scalars(rows.limit(10)))
        yield Finding("shared", CRITICAL, nodes[0], {"nodes": ", ".join(nodes)})
    spares = select(SpareRequest.node_id, Certificate.subject).join(
        Certificate,
        (Certificate.key_digest == SpareRequest.key_digest)
        & (Certificate.subject != SpareRequest.node_id),
    )
    for pair in session.execute(spares):
        yield Finding("shared", CRITICAL, pair[0], {"nodes": ", ".join(pair)})


def _ends(session: Session, days: int) -> Iterator[Finding]:
    """Live certificates that end soon: it matters most where nothing is there to follow."""
    rows = session.execute(
        select(Certificate.active_for, Certificate.not_after_us, SpareRequest.node_id)
        .outerjoin(SpareRequest, SpareRequest.node_id == Certificate.active_for)
        .where(
            Certificate.active_for.is_not(None),
            Certificate.not_after_us < now_us() + days * DAY_US,
        )
        .order_by(Certificate.not_after_us)
    )
    for node_id, end, spare in rows:
        left = (end - now_us()) // DAY_US
        severity = CRITICAL if left < 0 or spare is None else WARNING
        node = node_id or ""
        yield Finding("ending", severity, node, {"node": node, "days": left})


def _alive_but_gone(session: Session, _days: int) -> Iterator[Finding]:
    rows = session.execute(
        select(Certificate.subject, Terminal.state)
        .join(Terminal, Terminal.id == Certificate.subject)
        .where(
            Certificate.active_for.is_not(None) | Certificate.next_for.is_not(None),
            Terminal.state.in_(GONE),
        )
    )
    for node_id, state in rows:
        yield Finding("alive", CRITICAL, node_id, {"node": node_id, "state": state})


def _keys_of_gone(session: Session, _days: int) -> Iterator[Finding]:
    rows = session.execute(
        select(OscoreContext.node_id, Terminal.state)
        .join(Terminal, Terminal.id == OscoreContext.node_id)
        .where(OscoreContext.state != RETIRED, Terminal.state.in_(GONE))
        .distinct()
    )
    for node_id, state in rows:
        yield Finding("alive-key", CRITICAL, node_id, {"node": node_id, "state": state})


def _no_spare(session: Session, _days: int) -> Iterator[Finding]:
    for node_id, _ in without_spare(session, (1 << 63) - 1, MOST + 1):
        yield Finding("no-spare", WARNING, node_id, {"node": node_id})


def _untrusted(session: Session, _days: int) -> Iterator[Finding]:
    rows = session.scalars(
        select(OscoreContext.node_id).where(
            OscoreContext.state != RETIRED, OscoreContext.highest.is_(None)
        )
    )
    for node_id in rows:
        yield Finding("untrusted", WARNING, node_id, {"node": node_id})


def _tokens(session: Session, _days: int) -> Iterator[Finding]:
    """Claim tokens that hold for over a year, where the database has claim tokens."""
    if not _has(session, "claim_tokens", "id", "expires_us"):
        return
    rows = session.execute(
        text(
            "SELECT id FROM claim_tokens WHERE expires_us IS NULL OR expires_us > :late"
        ).bindparams(late=now_us() + TOKEN_DAYS * DAY_US)
    )
    for (identifier,) in rows:
        yield Finding("token", WARNING, str(identifier), {"token": str(identifier)})


def _cards(session: Session, _days: int) -> Iterator[Finding]:
    """SIM cards that two nodes are said to have, where the registry knows them."""
    if not _has(session, "terminals", "id", "iccid"):
        return
    rows = session.execute(
        text(
            "SELECT iccid, min(id), max(id) FROM terminals WHERE iccid IS NOT NULL "
            "GROUP BY iccid HAVING count(*) > 1"
        )
    )
    for card, one, other in rows:
        yield Finding("card", CRITICAL, one, {"iccid": card, "nodes": f"{one}, {other}"})


def _has(session: Session, name: str, *columns: str) -> bool:
    known = inspect(session.connection())
    return known.has_table(name) and {c["name"] for c in known.get_columns(name)} >= set(columns)
