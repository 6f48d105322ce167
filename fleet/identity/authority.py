"""The certificate authority in the data folder: a root, an issuing CA, and what they sign.

pki/root.key root.crt issuing.key issuing.crt bundle.crt crl.pem
    server.key server.crt fleet.key fleet.crt
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.identity import csr, profiles
from fleet.identity.errors import IdentityError
from fleet.identity.files import PRIVATE, PUBLIC, sync_folder, write_atomic
from fleet.identity.profiles import Issued, Signer

SERVICE_CN = "fleet"
# A broker that holds a stale list refuses every node: renew long before this.
CRL_LIFE = timedelta(days=30)
RENEW_BEFORE = timedelta(days=30)


class Credentials(NamedTuple):
    """Paths of a PEM key (mode 0600) and of the PEM chain, leaf first."""

    key: Path
    certificate: Path


class Revoked(NamedTuple):
    """One entry of the revocation list."""

    serial: int
    when: datetime
    reason: x509.ReasonFlags


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Authority:
    """Signs certificates and revocation lists with the issuing key of one PKI folder.

    The root key is needed only when the folder is created: it may be moved to safe storage.
    """

    def __init__(
        self, folder: Path, root: x509.Certificate, issuing: Signer, clock: Callable[[], datetime]
    ) -> None:
        self.folder = folder
        self.root = root
        self.issuing = issuing.certificate
        self._issuer = issuing
        self._clock = clock

    @classmethod
    def create(cls, folder: Path, clock: Callable[[], datetime] = _utc_now) -> "Authority":
        """A new PKI in `folder`, which must not exist. Whole or absent after a power cut."""
        if folder.exists():
            raise IdentityError(f"{folder} exists already: an authority is created once")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".pki-", dir=folder.parent))  # mode 0700
        try:
            _fill(draft, clock())
            os.rename(draft, folder)  # fails on a folder that another process made meanwhile
        except OSError as e:
            raise IdentityError(f"cannot create {folder}: {e.strerror}") from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        sync_folder(folder.parent)
        authority = cls.load(folder, clock)
        authority.write_crl(())
        return authority

    @classmethod
    def load(cls, folder: Path, clock: Callable[[], datetime] = _utc_now) -> "Authority":
        """The PKI of `folder`; IdentityError names the file that is missing or damaged."""
        root = _read_certificate(folder / "root.crt")
        certificate = _read_certificate(folder / "issuing.crt")
        key = _read_key(folder / "issuing.key")
        if key.public_key() != certificate.public_key():
            raise IdentityError(f"{folder / 'issuing.key'} does not belong to issuing.crt")
        try:
            certificate.verify_directly_issued_by(root)
        except Exception:  # the library raises several kinds: each means the same here
            raise IdentityError(f"{folder / 'issuing.crt'} is not signed by root.crt") from None
        return cls(folder, root, Signer(certificate, key), clock)

    @classmethod
    def open(cls, folder: Path, clock: Callable[[], datetime] = _utc_now) -> "Authority":
        """Load the PKI of `folder`, or create it where there is none."""
        return cls.load(folder, clock) if folder.exists() else cls.create(folder, clock)

    @property
    def bundle_path(self) -> Path:
        """Root and issuing CA: what a broker trusts, since a node sends its leaf alone."""
        return self.folder / "bundle.crt"

    @property
    def crl_path(self) -> Path:
        """The revocation list, PEM."""
        return self.folder / "crl.pem"

    @property
    def server(self) -> Credentials:
        """Key and chain of the broker and of the API."""
        return self._credentials("server")

    @property
    def service(self) -> Credentials:
        """Key and chain of the fleet itself as an MQTT client."""
        return self._credentials(SERVICE_CN)

    @property
    def root_der(self) -> bytes:
        """The one trust anchor that a node keeps, DER."""
        return self.root.public_bytes(serialization.Encoding.DER)

    def issue_node(self, csr_pem: bytes | str) -> Issued:
        """A client certificate for the node of a request; IdentityError tells what is wrong."""
        request = csr.check(csr_pem)
        return profiles.client_leaf(
            profiles.NODE, request.node_id, request.key, self._issuer, self._clock()
        )

    def issue_claim(self, csr_pem: bytes | str, life: timedelta = profiles.CLAIM_LIFE) -> Issued:
        """A voucher's certificate for the claim id of a request; IdentityError."""
        request = csr.check_claim(csr_pem)
        return profiles.client_leaf(
            profiles.CLAIM, request.subject, request.key, self._issuer, self._clock(), life
        )

    def issue_server(self, names: Iterable[str]) -> Issued:
        """A new server key and certificate for host names and IP addresses, kept in `server`."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = profiles.server_leaf(names, key.public_key(), self._issuer, self._clock())
        self._write(self.server, key, issued)
        return issued

    def issue_service(self, cn: str = SERVICE_CN) -> Issued:
        """A new client key and certificate for a part of the fleet, written to `<cn>.key/.crt`."""
        if cn != SERVICE_CN:
            raise IdentityError(f"no such service: {cn[:20]!r}; the one service is {SERVICE_CN!r}")
        key = ec.generate_private_key(ec.SECP256R1())
        issued = profiles.client_leaf(
            profiles.SERVICE, cn, key.public_key(), self._issuer, self._clock()
        )
        self._write(self._credentials(cn), key, issued)
        return issued

    def renewal_due(self, credentials: Credentials, names: Iterable[str] = ()) -> bool:
        """Whether a pair is missing, torn by a power cut, near its end, or lacks a name."""
        try:
            key = _read_key(credentials.key)
            certificate = _read_certificate(credentials.certificate)
        except IdentityError:
            return True
        if key.public_key() != certificate.public_key():
            return True
        if certificate.issuer != self.issuing.subject:
            return True
        held: set[x509.GeneralName] = set()
        with contextlib.suppress(x509.ExtensionNotFound):
            held = set(
                certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            )
        if not {profiles.general_name(name) for name in names} <= held:
            return True
        return certificate.not_valid_after_utc - self._clock() < RENEW_BEFORE

    def crl(self, revoked: Iterable[Revoked]) -> bytes:
        """The signed revocation list, PEM, good for CRL_LIFE."""
        now = self._clock()
        identifier = self.issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuing.subject)
            .last_update(now - profiles.BACKDATING)
            .next_update(now + CRL_LIFE)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1_000_000)), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
                critical=False,
            )
        )
        for entry in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(entry.serial)
            one = one.revocation_date(entry.when)
            # RFC 5280, 5.3.1: "unspecified" is said by leaving the extension out.
            if entry.reason is not x509.ReasonFlags.unspecified:
                one = one.add_extension(x509.CRLReason(entry.reason), critical=False)
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(self._issuer.key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM
        )

    def write_crl(self, revoked: Iterable[Revoked]) -> Path:
        """Replace `crl_path`; a Mosquitto then needs a SIGHUP to read it."""
        write_atomic(self.crl_path, self.crl(revoked), PUBLIC)
        return self.crl_path

    def crl_next_update(self) -> datetime:
        """When brokers begin to refuse every node unless the list is written anew."""
        try:
            crl = x509.load_pem_x509_crl(self.crl_path.read_bytes())
        except (OSError, ValueError):
            raise IdentityError(f"{self.crl_path} is missing or damaged: write it anew") from None
        return crl.next_update_utc or profiles.NODE_CLOCK_START

    def _credentials(self, stem: str) -> Credentials:
        return Credentials(self.folder / f"{stem}.key", self.folder / f"{stem}.crt")

    def _write(self, to: Credentials, key: ec.EllipticCurvePrivateKey, issued: Issued) -> None:
        # A cut between the two leaves a pair that does not match: renewal_due() sees it.
        write_atomic(to.key, _key_pem(key), PRIVATE)
        write_atomic(to.certificate, issued.pem + _pem(self.issuing), PUBLIC)


def _fill(folder: Path, now: datetime) -> None:
    label = secrets.token_hex(4)  # so that the names of two installations differ
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = Signer(profiles.root_certificate(root_key, label, now), root_key)
    key = ec.generate_private_key(ec.SECP256R1())
    issuing = profiles.issuing_certificate(key, root, label, now)
    write_atomic(folder / "root.key", _key_pem(root_key), PRIVATE)
    write_atomic(folder / "root.crt", _pem(root.certificate), PUBLIC)
    write_atomic(folder / "issuing.key", _key_pem(key), PRIVATE)
    write_atomic(folder / "issuing.crt", _pem(issuing), PUBLIC)
    write_atomic(folder / "bundle.crt", _pem(root.certificate) + _pem(issuing), PUBLIC)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as e:
        raise IdentityError(f"cannot read {path}: {e.strerror}") from None
    except ValueError:
        raise IdentityError(f"{path} holds no PEM certificate") from None


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as e:
        raise IdentityError(f"cannot read {path}: {e.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise IdentityError(f"{path} holds no unencrypted PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IdentityError(f"{path} holds no EC private key")
    return key
