"""The authority: profiles of X.509, files and their modes, a torn folder, renewal, secrets."""

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ReasonFlags, verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet.identity import authority as module
from fleet.identity.authority import Authority, Revoked
from fleet.identity.client import make_key_and_csr
from fleet.identity.errors import IdentityError
from fleet.identity.files import write_atomic
from fleet.identity.profiles import NODE_CLOCK_START
from fleet.identity.secret import SecretBytes

NODE = "1gntj14d2p"


@pytest.fixture
def pki(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki")


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension:  # type: ignore[type-arg]
    return certificate.extensions.get_extension_for_class(kind)


def node_certificate(pki: Authority) -> x509.Certificate:
    return x509.load_der_x509_certificate(pki.issue_node(make_key_and_csr(NODE)[1]).der)


def test_the_two_authorities(pki: Authority) -> None:
    for certificate, length in ((pki.root, 1), (pki.issuing, 0)):
        basic = extension(certificate, x509.BasicConstraints)
        assert basic.critical
        assert basic.value == x509.BasicConstraints(ca=True, path_length=length)
        usage = extension(certificate, x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        assert not usage.value.digital_signature
        assert certificate.not_valid_before_utc == NODE_CLOCK_START
        assert certificate.not_valid_after_utc < datetime(2050, 1, 1, tzinfo=UTC)
    assert pki.issuing.issuer == pki.root.subject


def test_a_nodes_certificate(pki: Authority) -> None:
    certificate = node_certificate(pki)
    assert [name.value for name in certificate.subject] == [NODE]
    assert extension(certificate, x509.BasicConstraints).value.ca is False
    assert extension(certificate, x509.BasicConstraints).critical
    usage = extension(certificate, x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    purposes = extension(certificate, x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    key_identifier = extension(pki.issuing, x509.SubjectKeyIdentifier).value
    authority_identifier = extension(certificate, x509.AuthorityKeyIdentifier).value
    assert authority_identifier.key_identifier == key_identifier.digest
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(hours=23)
    assert now + timedelta(days=3600) < certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc <= pki.issuing.not_valid_after_utc


def test_serial_numbers_are_random(pki: Authority) -> None:
    _, request = make_key_and_csr(NODE)
    serials = {pki.issue_node(request).serial for _ in range(20)}
    assert len(serials) == 20
    assert min(serials) > 1 << 100


def test_a_server_verifies_by_root_alone_at_the_nodes_first_second(pki: Authority) -> None:
    pki.issue_server(["fleet.example", "127.0.0.1"])
    chain = x509.load_pem_x509_certificates(pki.server.certificate.read_bytes())
    for when in (NODE_CLOCK_START, datetime.now(UTC)):
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store([pki.root]))
            .time(when)
            .build_server_verifier(x509.DNSName("fleet.example"))
        )
        assert verifier.verify(chain[0], chain[1:])


def test_attack_request_asks_to_be_an_authority(pki: Authority) -> None:
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NODE)]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("fleet")]), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    issued = pki.issue_node(request.public_bytes(serialization.Encoding.PEM))
    certificate = x509.load_der_x509_certificate(issued.der)
    assert extension(certificate, x509.BasicConstraints).value.ca is False
    with pytest.raises(x509.ExtensionNotFound):
        extension(certificate, x509.SubjectAlternativeName)


def test_private_files_are_private(pki: Authority, tmp_path: Path) -> None:
    pki.issue_server(["localhost"])
    pki.issue_service()
    keys = sorted(path.name for path in pki.folder.glob("*.key"))
    assert keys == ["fleet.key", "issuing.key", "root.key", "server.key"]
    for name in keys:
        assert stat.S_IMODE((pki.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(pki.folder.stat().st_mode) == 0o700
    assert [p.name for p in pki.folder.iterdir() if p.name.endswith(".new")] == []
    assert os.listdir(tmp_path) == ["pki"]


def test_an_authority_is_created_once(pki: Authority) -> None:
    with pytest.raises(IdentityError, match="exists already"):
        Authority.create(pki.folder)
    assert Authority.open(pki.folder).root == pki.root


@pytest.mark.parametrize("step", range(1, 6))
def test_a_power_cut_while_creating_leaves_no_half_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    writes = 0
    real = write_atomic

    def cut(path: Path, data: bytes, mode: int) -> None:
        nonlocal writes
        writes += 1
        if writes == step:
            raise KeyboardInterrupt
        real(path, data, mode)

    monkeypatch.setattr(module, "write_atomic", cut)
    with pytest.raises(KeyboardInterrupt):
        Authority.create(tmp_path / "pki")
    monkeypatch.undo()
    assert not (tmp_path / "pki").exists()
    assert Authority.open(tmp_path / "pki").root


def test_the_root_key_may_be_kept_elsewhere(pki: Authority) -> None:
    (pki.folder / "root.key").unlink()
    assert Authority.load(pki.folder).issue_node(make_key_and_csr(NODE)[1]).subject == NODE


@pytest.mark.parametrize("name", ["root.crt", "issuing.crt", "issuing.key"])
@pytest.mark.parametrize("damage", [None, b"", b"garbage", b"\x00" * 5000])
def test_a_damaged_file_is_named_in_one_line(
    pki: Authority, name: str, damage: bytes | None
) -> None:
    path = pki.folder / name
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(IdentityError) as caught:
        Authority.load(pki.folder)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_of_another_authority_are_refused(pki: Authority, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "other")
    (pki.folder / "issuing.key").write_bytes((other.folder / "issuing.key").read_bytes())
    with pytest.raises(IdentityError, match="does not belong"):
        Authority.load(pki.folder)
    (pki.folder / "issuing.crt").write_bytes((other.folder / "issuing.crt").read_bytes())
    with pytest.raises(IdentityError, match="not signed"):
        Authority.load(pki.folder)


def test_renewal_is_due_when_it_is_due(pki: Authority, tmp_path: Path) -> None:
    names = ["localhost", "127.0.0.1"]
    assert pki.renewal_due(pki.server, names)
    pki.issue_server(names)
    assert not pki.renewal_due(pki.server, names)
    assert pki.renewal_due(pki.server, [*names, "fleet.example"])
    later = Authority.load(pki.folder, lambda: datetime.now(UTC) + timedelta(days=710))
    assert later.renewal_due(later.server, names)
    torn = pki.server.key.read_bytes()
    pki.issue_server(names)
    pki.server.key.write_bytes(torn)
    assert pki.renewal_due(pki.server, names)
    other = Authority.create(tmp_path / "other")
    other.issue_server(names)
    assert pki.renewal_due(other.server, names)


@pytest.mark.parametrize("name", ["", "a b", "UPPER", "x" * 300, "*", "a..b", "-a", "k\x00"])
def test_a_bad_server_name_is_refused(pki: Authority, name: str) -> None:
    with pytest.raises(IdentityError):
        pki.issue_server([name])
    with pytest.raises(IdentityError):
        pki.issue_server([])


def test_only_the_known_service_is_issued(pki: Authority) -> None:
    with pytest.raises(IdentityError):
        pki.issue_service("../escape")
    assert pki.issue_service().subject == "fleet"


def test_the_revocation_list(pki: Authority) -> None:
    assert len(list(x509.load_pem_x509_crl(pki.crl_path.read_bytes()))) == 0
    when = datetime(2026, 1, 2, tzinfo=UTC)
    pki.write_crl(
        [Revoked(7, when, ReasonFlags.key_compromise), Revoked(8, when, ReasonFlags.unspecified)]
    )
    crl = x509.load_pem_x509_crl(pki.crl_path.read_bytes())
    key = pki.issuing.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(key)
    assert crl.issuer == pki.issuing.subject
    assert [entry.serial_number for entry in crl] == [7, 8]
    assert crl.get_revoked_certificate_by_serial_number(9) is None
    assert pki.crl_next_update() > datetime.now(UTC) + timedelta(days=29)
    first = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    again = x509.load_pem_x509_crl(pki.crl(()))
    assert again.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > first


def test_secrets_do_not_print() -> None:
    key, request = make_key_and_csr(NODE)
    assert isinstance(key, SecretBytes)
    shown = f"{key} {key!r} {key!s} %s {[key]} {key:>10}" % key
    assert repr(bytes(key))[2:20] not in shown
    assert shown.count("***") == 6
    assert bytes(key)[0] == 0x30
    assert b"CERTIFICATE REQUEST" in request


@pytest.mark.parametrize("node_id", ["", "fleet", NODE.upper(), NODE + "\n", "8" * 10])
def test_the_client_refuses_a_bad_node_id(node_id: str) -> None:
    with pytest.raises(IdentityError):
        make_key_and_csr(node_id)
