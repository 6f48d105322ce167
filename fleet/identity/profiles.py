"""The X.509 profiles (RFC 5280) of this PKI: two CAs and three kinds of leaf, all on P-256."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.identity.errors import IdentityError

NODE, SERVER, SERVICE, CLAIM = "node", "server", "service", "claim"

# A node's clock starts at 2000-01-01 after a cold boot, and it checks the chain of the server.
NODE_CLOCK_START = datetime(2000, 1, 1, tzinfo=UTC)
# The fleet's own clock, or the broker's, may be wrong by hours.
BACKDATING = timedelta(days=1)

AUTHORITY_LIFE = timedelta(days=20 * 365)  # ends before 2050, where dates change their encoding
NODE_LIFE = timedelta(days=10 * 365)  # the battery life of a gas meter
SERVER_LIFE = timedelta(days=2 * 365)
SERVICE_LIFE = timedelta(days=2 * 365)
CLAIM_LIFE = timedelta(days=90)  # of a voucher that a technician takes along
_LIVES = {NODE: NODE_LIFE, SERVICE: SERVICE_LIFE, CLAIM: CLAIM_LIFE}

_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    r"(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)


class Signer(NamedTuple):
    """A CA that signs: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate just issued. `pem` is the leaf alone; digests are SHA-256 in hex."""

    kind: str
    subject: str
    serial: int
    not_before: datetime
    not_after: datetime
    pem: bytes
    der: bytes
    fingerprint: str
    key_digest: str


def root_certificate(
    key: ec.EllipticCurvePrivateKey, label: str, now: datetime
) -> x509.Certificate:
    """Self-signed root CA that may sign one further CA level."""
    name = _authority_name(f"Kapok root {label}")
    return _authority(name, name, key.public_key(), now + AUTHORITY_LIFE, path_length=1).sign(
        key, hashes.SHA256()
    )


def issuing_certificate(
    key: ec.EllipticCurvePrivateKey, root: Signer, label: str, now: datetime
) -> x509.Certificate:
    """The CA, signed by the root, that signs leaves and nothing but leaves."""
    end = min(now + AUTHORITY_LIFE, root.certificate.not_valid_after_utc)
    name = _authority_name(f"Kapok issuing {label}")
    builder = _authority(name, root.certificate.subject, key.public_key(), end, path_length=0)
    builder = builder.add_extension(_authority_key_identifier(root.certificate), critical=False)
    return builder.sign(root.key, hashes.SHA256())


def client_leaf(
    kind: str,
    subject: str,
    key: ec.EllipticCurvePublicKey,
    issuer: Signer,
    now: datetime,
    life: timedelta | None = None,
) -> Issued:
    """Certificate for a TLS client: a node, a service or a voucher, whose CN is `subject`."""
    end = now + (life or _LIVES[kind])
    builder = _leaf(subject, key, issuer, now - BACKDATING, end)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _issued(kind, subject, builder.add_extension(usage, critical=False), issuer)


def server_leaf(
    names: Iterable[str], key: ec.EllipticCurvePublicKey, issuer: Signer, now: datetime
) -> Issued:
    """Certificate for a TLS server that answers to `names` (host names and IP addresses)."""
    alternatives = [general_name(name) for name in names]
    if not alternatives:
        raise IdentityError("a server certificate needs one host name or IP address at least")
    subject = str(alternatives[0].value)[:64]
    builder = _leaf(subject, key, issuer, NODE_CLOCK_START, now + SERVER_LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _issued(SERVER, subject, builder.add_extension(usage, critical=False), issuer)


def general_name(name: str) -> x509.DNSName | x509.IPAddress:
    """The subject alternative name for a host name or an IP address; IdentityError otherwise."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not _DNS_NAME.fullmatch(name):
            raise IdentityError(
                f"{name!r} is neither a lower-case host name nor an IP address"
            ) from None
        return x509.DNSName(name)


def key_digest(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 (hex) over the DER SubjectPublicKeyInfo: tells one key in two certificates."""
    return _sha256(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _sha256(data: bytes) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex()


def _authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Kapok"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _authority(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    end: datetime,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NODE_CLOCK_START)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _leaf(
    subject: str, key: ec.EllipticCurvePublicKey, issuer: Signer, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(min(end, issuer.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_key_identifier(issuer.certificate), critical=False)
    )


def _issued(kind: str, subject: str, builder: x509.CertificateBuilder, issuer: Signer) -> Issued:
    certificate = builder.sign(issuer.key, hashes.SHA256())
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise IdentityError("a leaf of this PKI holds a P-256 key")
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Issued(
        kind=kind,
        subject=subject,
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        pem=certificate.public_bytes(serialization.Encoding.PEM),
        der=der,
        fingerprint=_sha256(der),
        key_digest=key_digest(key),
    )
