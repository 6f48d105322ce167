"""Keys that sign: in files, encrypted or not, and in a PKCS#11 token."""

from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from node.update import pss
from pkcs11 import KeyType, MechanismFlag
from token_rig import MODULE, PIN, TOKEN, leave, make_token

from fleet.flashing.secure_sign import SigningToken
from fleet.releases import signers, verify
from fleet.releases.errors import SigningKeyError
from fleet.wire import release


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keys, one of them encrypted by "open sesame"."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "password").write_text("open sesame\nnot this\n")
    signers.generate(folder / "plain.pem", None)
    signers.generate(folder / "closed.pem", signers.password(folder / "password"))
    return folder


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SigningToken]:
    where = make_token(tmp_path, monkeypatch)
    found = pkcs11.lib(str(where.module)).get_token(token_label=where.token)
    with found.open(rw=True, user_pin=PIN) as session:
        session.generate_keypair(KeyType.RSA, 3072, label="release", store=True)
    yield SigningToken(MODULE, TOKEN, "release", where.pin_file)
    leave()


def good(signer: signers.Signer) -> bool:
    """By cryptography's code and by the node's."""
    manifest = b"a manifest"
    signature = signer.sign(release.signed(manifest))
    ours = verify.is_by(signer.modulus, manifest, signature)
    assert ours == pss.verify(signer.modulus, release.signed(manifest), signature)
    return ours


def test_a_key_in_a_file_signs(made: Path) -> None:
    plain = signers.FileSigner(made / "plain.pem", None)
    assert good(plain)
    assert signers.public_modulus(made / "plain.pem.pub") == plain.modulus
    assert (made / "plain.pem").stat().st_mode & 0o777 == 0o600
    closed = signers.FileSigner(made / "closed.pem", b"open sesame")
    assert good(closed)
    assert b"ENCRYPTED" in (made / "closed.pem").read_bytes()
    assert verify.kid(closed.modulus) != verify.kid(plain.modulus)


def test_a_key_in_a_token_signs(token: SigningToken, tmp_path: Path) -> None:
    assert good(signers.TokenSigner(token))
    with pytest.raises(SigningKeyError, match="0 public keys"):
        signers.TokenSigner(token._replace(label="other"))
    (tmp_path / "wrong").write_text("0000\n")
    with pytest.raises(SigningKeyError, match="the token 'kapok'"):
        signers.TokenSigner(token._replace(pin_file=tmp_path / "wrong")).sign(b"x")


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("closed.pem", None, "is encrypted: --password-file"),
        ("closed.pem", b"guess", "or the password is another"),
        ("plain.pem", b"open sesame", "is not encrypted"),
        ("plain.pem.pub", None, "holds no private key"),
        ("absent.pem", None, "cannot read"),
    ],
)
def test_a_key_that_does_not_open(made: Path, name: str, password: bytes | None, why: str) -> None:
    with pytest.raises(SigningKeyError, match=why):
        signers.FileSigner(made / name, password)


def test_a_key_is_never_overwritten(made: Path) -> None:
    with pytest.raises(SigningKeyError, match="never overwritten"):
        signers.generate(made / "plain.pem", None)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        rsa.generate_private_key(3, 3072),
        ec.generate_private_key(ec.SECP256R1()),
    ],
)
def test_keys_that_no_node_could_verify(
    tmp_path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    (tmp_path / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )  # fmt: skip
    (tmp_path / "pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    for read in (lambda: signers.FileSigner(tmp_path / "key", None),
                 lambda: signers.public_modulus(tmp_path / "pub")):  # fmt: skip
        with pytest.raises(SigningKeyError, match="no RSA key of 3072 bits with exponent 65537"):
            read()


class Halves:
    """As a token whose public and private objects of one label are no pair."""

    def __init__(self, public: signers.Signer, private: signers.Signer) -> None:
        self.modulus = public.modulus
        self.sign = private.sign


def test_a_pair_that_is_none_signs_nothing(made: Path) -> None:
    plain = signers.FileSigner(made / "plain.pem", None)
    other = signers.FileSigner(made / "closed.pem", b"open sesame")
    assert verify.is_by(plain.modulus, b"m", signers.signature(plain, b"m"))
    with pytest.raises(SigningKeyError, match="are no pair"):
        signers.signature(Halves(plain, other), b"m")


def test_a_key_in_a_token_that_may_not_sign(token: SigningToken) -> None:
    found = pkcs11.lib(str(token.module)).get_token(token_label=token.token)
    with found.open(rw=True, user_pin=PIN) as session:
        session.generate_keypair(
            KeyType.RSA, 3072, label="open", store=True, capabilities=MechanismFlag.DECRYPT
        )
    with pytest.raises(SigningKeyError, match="'open' may not sign"):
        signers.TokenSigner(token._replace(label="open")).sign(b"x")
