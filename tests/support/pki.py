"""A throw-away P-256 PKI for tests: a root, an issuing CA below it, and leaf certificates."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Leaf:
    """A certificate, its key, and the CA that issued it."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuer: x509.Certificate

    @property
    def cert_der(self) -> bytes:
        """The leaf alone, DER."""
        return self.cert.public_bytes(Encoding.DER)

    @property
    def key_der(self) -> bytes:
        """The key, DER (PKCS#8), not encrypted."""
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Paths of the PEM chain and the PEM key, written as `name`.crt and `name`.key."""
        cert, key = folder / f"{name}.crt", folder / f"{name}.key"
        cert.write_bytes(
            self.cert.public_bytes(Encoding.PEM) + self.issuer.public_bytes(Encoding.PEM)
        )
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert, key


class Pki:
    """A root with an issuing CA, valid for a day. Each instance is a stranger to the others."""

    def __init__(self) -> None:
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = _sign("root", self._root_key, None, self._root_key, ca=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.issuing = _sign("issuing", self._key, self.root, self._root_key, ca=True)

    @property
    def root_der(self) -> bytes:
        """What a node trusts."""
        return self.root.public_bytes(Encoding.DER)

    def leaf(self, name: str, *, dns: str = "", days: int = 1) -> Leaf:
        """A leaf with CN `name`; with `dns` a server's. Negative `days`: expired since."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert = _sign(name, key, self.issuing, self._key, dns=dns, days=days)
        return Leaf(cert, key, self.issuing)

    def write_bundle(self, folder: Path) -> Path:
        """PEM file of both CAs: what a broker trusts, since a node sends its leaf only."""
        path = folder / "ca.crt"
        path.write_bytes(
            self.root.public_bytes(Encoding.PEM) + self.issuing.public_bytes(Encoding.PEM)
        )
        return path


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    dns: str = "",
    days: int = 1,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days)
    start = min(end, datetime.now(UTC)) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if ca:
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(dns)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
