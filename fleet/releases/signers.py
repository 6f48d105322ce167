"""Keys that sign releases: RSA-3072 in a PEM file, or in a PKCS#11 token that it never leaves."""

from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from fleet.flashing import secure_sign
from fleet.flashing.efuses import SecureError
from fleet.flashing.secure_sign import SigningToken
from fleet.identity.files import PRIVATE, PUBLIC, write_atomic
from fleet.releases import verify
from fleet.releases.errors import SigningKeyError
from fleet.releases.verify import EXPONENT, PSS, SALT
from fleet.wire import release
from fleet.wire.trust import MODULUS

_BITS = MODULUS * 8
_LONGEST = 16_384  # bytes of a PEM file


class Signer(Protocol):
    """A private key that signs."""

    @property
    def modulus(self) -> bytes:
        """Of its public half, most significant byte first."""
        ...

    def sign(self, message: bytes) -> bytes:
        """An RSA-PSS signature over the message: SHA-256, salt 32."""
        ...


class FileSigner:
    """A key in a PEM file, encrypted by `password` or not."""

    def __init__(self, path: Path, password: bytes | None) -> None:
        raw = _read(path)
        try:
            key = serialization.load_pem_private_key(raw, password)
        except TypeError:
            wants = "is encrypted: --password-file" if password is None else "is not encrypted"
            raise SigningKeyError(f"{path} {wants}") from None
        except (ValueError, UnsupportedAlgorithm):
            wrong = "holds no private key in PEM"
            if password is not None:
                wrong += ", or the password is another"
            raise SigningKeyError(f"{path} {wrong}") from None
        self._key = _checked(key, path)
        self.modulus = modulus_of(self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        """As Signer's."""
        return self._key.sign(message, PSS, SHA256())


class TokenSigner:
    """A key pair in a token, by the labels of both."""

    def __init__(self, where: SigningToken) -> None:
        self._where = where
        try:
            self.modulus = modulus_of(load_public(secure_sign.public_key(where), where.label))
        except SecureError as e:
            raise SigningKeyError(str(e)) from None

    def sign(self, message: bytes) -> bytes:
        """As Signer's."""
        import pkcs11
        from pkcs11 import MGF, Attribute, Mechanism, ObjectClass

        try:
            token = secure_sign.open_token(self._where)
            with token.open(user_pin=secure_sign.read_pin(self._where.pin_file)) as session:
                wanted = {
                    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
                    Attribute.LABEL: self._where.label,
                }
                found = list(session.get_objects(wanted))
                if len(found) != 1:
                    raise SigningKeyError(
                        f"the token has {len(found)} private keys {self._where.label!r}, not 1"
                    )
                sign = getattr(found[0], "sign", None)
                if sign is None:
                    raise SigningKeyError(f"the token's key {self._where.label!r} may not sign")
                made: bytes = sign(
                    message,
                    mechanism=Mechanism.SHA256_RSA_PKCS_PSS,
                    mechanism_param=(Mechanism.SHA256, MGF.SHA256, SALT),
                )
        except SecureError as e:
            raise SigningKeyError(str(e)) from None
        except pkcs11.PKCS11Error as e:
            name = str(e) or type(e).__name__
            raise SigningKeyError(f"the token {self._where.token!r}: {name}") from None
        return made


def signature(signer: Signer, manifest: bytes) -> bytes:
    """A release's signature; SigningKeyError where it is not by the public half."""
    made = signer.sign(release.signed(manifest))
    if not verify.is_by(signer.modulus, manifest, made):
        raise SigningKeyError("the private key and the public key of that name are no pair")
    return made


def generate(path: Path, password: bytes | None) -> bytes:
    """Make a key in a file that is not there yet, its public half beside it as `.pub`; its
    modulus.
    """
    public = path.with_name(path.name + ".pub")
    for each in (path, public):
        if each.exists():
            raise SigningKeyError(f"{each} is there: a key is never overwritten")
    key = rsa.generate_private_key(EXPONENT, _BITS)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    write_atomic(path, pem, PRIVATE)
    write_atomic(public, public_pem(key.public_key()), PUBLIC)
    return modulus_of(key.public_key())


def public_pem(key: rsa.RSAPublicKey) -> bytes:
    """A public key, PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def public_modulus(path: Path) -> bytes:
    """The modulus of the public key in a PEM file."""
    return modulus_of(load_public(_read(path), path))


def load_public(pem: bytes, what: object) -> rsa.RSAPublicKey:
    """The public key, if it is one that nodes can verify; SigningKeyError."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise SigningKeyError(f"{what} holds no public key in PEM") from None
    if not isinstance(key, rsa.RSAPublicKey) or not _fits(key):
        raise SigningKeyError(f"{what} is no RSA key of {_BITS} bits with exponent {EXPONENT}")
    return key


def modulus_of(key: rsa.RSAPublicKey) -> bytes:
    """Most significant byte first."""
    return key.public_numbers().n.to_bytes(MODULUS, "big")


def password(path: Path | None) -> bytes | None:
    """The first line of a file; None for no file."""
    if path is None:
        return None
    line = _read(path).partition(b"\n")[0]
    if not line:
        raise SigningKeyError(f"{path} holds no password: one line of text")
    return line


def _fits(key: rsa.RSAPublicKey) -> bool:
    return key.key_size == _BITS and key.public_numbers().e == EXPONENT


def _checked(key: object, path: Path) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey) or not _fits(key.public_key()):
        raise SigningKeyError(f"{path} is no RSA key of {_BITS} bits with exponent {EXPONENT}")
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as e:
        raise SigningKeyError(f"cannot read {path}: {e.strerror}") from None
