"""The door for certificate requests: any input gives a Request or one IdentityError."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fleet.identity import csr
from fleet.identity.client import key_pem, make_key_and_csr
from fleet.identity.errors import IdentityError
from fleet.wire import nodeid

NODE = nodeid.from_mac(bytes.fromhex("30aea4123456"))
_, GOOD = make_key_and_csr(NODE)
GOOD_DER = x509.load_pem_x509_csr(GOOD).public_bytes(serialization.Encoding.DER)


def pem(der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"


def request(names: list[tuple[x509.ObjectIdentifier, str]], key: object = None) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = builder.sign(key, algorithm)  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM)


def refusal(data: bytes | str) -> str:
    with pytest.raises(IdentityError) as caught:
        csr.check(data)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert len(message) < 200
    assert caught.value.__cause__ is None
    return message


def test_a_good_request_gives_its_node_id_and_key() -> None:
    checked = csr.check(GOOD)
    assert checked.node_id == NODE
    assert csr.check(GOOD.decode()).node_id == NODE
    assert checked.key.curve.name == "secp256r1"


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["rsa", "ed25519", "p384", "secp256k1"],
)
def test_attack_wrong_key_type(key: object) -> None:
    assert "P-256" in refusal(request([(NameOID.COMMON_NAME, NODE)], key))


def test_attack_somebody_elses_key_in_the_request() -> None:
    """The public key of another request put into this one: the signature no longer holds."""
    _, other = make_key_and_csr(NODE)
    ours = csr.check(GOOD).key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    theirs = csr.check(other).key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    assert "signature" in refusal(pem(GOOD_DER.replace(ours, theirs)))


@pytest.mark.parametrize(
    "cn",
    [
        "fleet",
        "",
        "#",
        "+",
        "$SYS",
        NODE.upper(),
        NODE + "0",
        NODE[:-1],
        "8" + NODE[1:],
        NODE + " ",
        "il" + NODE[2:],
        "k1/x",
        NODE + "\x00",
        "../../../a",
        "ⅰ" + NODE[1:],
    ],
)
def test_attack_cn_outside_the_grammar(cn: str) -> None:
    try:
        made = request([(NameOID.COMMON_NAME, cn)])
    except ValueError:  # the library does not make some of them; build the bytes by hand
        raw = cn.encode().ljust(10, b"0")[:10]
        made = pem(GOOD_DER.replace(NODE.encode(), raw))
    refusal(made)


@pytest.mark.parametrize(
    "names",
    [
        [],
        [(NameOID.ORGANIZATION_NAME, NODE)],
        [(NameOID.COMMON_NAME, NODE), (NameOID.COMMON_NAME, "fleet")],
        [(NameOID.COMMON_NAME, "fleet"), (NameOID.COMMON_NAME, NODE)],
        [(NameOID.COMMON_NAME, NODE), (NameOID.ORGANIZATION_NAME, "Kapok")],
    ],
)
def test_attack_subject_of_other_than_one_cn(
    names: list[tuple[x509.ObjectIdentifier, str]],
) -> None:
    assert "CN" in refusal(request(names))


def test_attack_oversize() -> None:
    assert "4096" in refusal(GOOD + b"\n" * 5000)
    assert "4096" in refusal("x" * 10_000_000)


@pytest.mark.parametrize(
    "data",
    [b"", "", b"\x00" * 100, GOOD_DER, GOOD + GOOD, key_pem(make_key_and_csr(NODE)[0]),
     GOOD.replace(b"REQUEST", b""), pem(b""), pem(GOOD_DER[:-10]), pem(GOOD_DER + b"\x00"),
     "\u6728\u68c9", "\ud800", GOOD.replace(b"-----END", b"-----")],
)  # fmt: skip
def test_attack_not_a_request(data: bytes | str) -> None:
    refusal(data)


def accepted(data: bytes | str) -> bool:
    try:
        return csr.check(data).node_id == NODE
    except IdentityError:
        return False


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=600), st.text(max_size=600)))
def test_any_bytes_give_one_clear_error(data: bytes | str) -> None:
    assert not accepted(data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(GOOD_DER) - 1), st.integers(1, 255))
def test_no_flipped_byte_is_accepted(at: int, flip: int) -> None:
    # But how many bits of the signature's last byte are none: where that bit is 0, 1 is the same.
    assume(at != len(GOOD_DER) - len(x509.load_der_x509_csr(GOOD_DER).signature) - 1)
    damaged = bytearray(GOOD_DER)
    damaged[at] ^= flip
    assert not accepted(pem(bytes(damaged)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(GOOD_DER) - 1))
def test_no_truncation_is_accepted(length: int) -> None:
    assert not accepted(pem(GOOD_DER[:length]))
