"""Certificates for a server of the rig's: good ones by the fleet's own authority, and ones that a
node must refuse.
"""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=365)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Authority(NamedTuple):
    """Who signs: certificate and key."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes


def of_fleet(pki: Path) -> Authority:
    """The authority of the fleet whose folder that is, which its nodes trust."""
    certificate = x509.load_pem_x509_certificate((pki / "issuing.crt").read_bytes())
    key = serialization.load_pem_private_key((pki / "issuing.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101  as fleet.identity makes them
    return Authority(certificate, key)


def stranger(like: Authority) -> Authority:
    """One that bears the same name, and that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = like.certificate.subject
    builder = _builder(name, name, key.public_key(), datetime.now(UTC) + LIFE)
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    made = builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256())
    return Authority(made, key)


class Chain(NamedTuple):
    """What a server shows, and the key to it; PEM."""

    certificates: bytes
    key: bytes

    def context(self, folder: Path, trusts: Path) -> ssl.SSLContext:
        """Of a server that demands a certificate by an authority in the file `trusts`."""
        shown, key = folder / "server.crt", folder / "server.key"
        shown.write_bytes(self.certificates)
        key.write_bytes(self.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or it would not serve what is too weak
        context.load_cert_chain(shown, key)
        context.load_verify_locations(trusts)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def chain(
    authority: Authority,
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    until: datetime | None = None,
    behind: int = 0,
) -> Chain:
    """A server's certificate for `names`, the first of which it is called by, good `until` then;
    `behind` it, after its authority's, so many that have nothing to do with it.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    builder = _builder(
        subject, authority.certificate.subject, key.public_key(), until or datetime.now(UTC) + LIFE
    )
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    leaf = (
        builder.add_extension(alternatives, critical=False)
        .add_extension(usage, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    shown = [leaf, authority.certificate]
    shown += [stranger(authority).certificate for _ in range(behind)]
    return Chain(
        b"".join(each.public_bytes(serialization.Encoding.PEM) for each in shown),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def good(authority: Authority, name: str) -> Chain:
    """What a node of the authority's accepts."""
    return chain(authority, [name])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(end)
    )
