"""Secrets of nodes at rest: sealed by one wrapping key, each bound to the row that holds it."""

import contextlib
import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fleet.identity.errors import IdentityError
from fleet.identity.files import PRIVATE, sync_folder, write_atomic
from fleet.identity.secret import SecretBytes
from fleet.settings import Settings

if TYPE_CHECKING:
    from fleet.identity.wrapping_pkcs11 import TokenKey

# First byte of what is wrapped: by which kind of key. Behind it nonce, ciphertext and tag.
OF_FILE = 1
OF_TOKEN = 2
KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # SP 800-38D, 8.2.2: drawn at random, good for 2^32 wraps under one key
TAG_BYTES = 16
_KINDS = {OF_FILE: "the file pki/wrapping.key", OF_TOKEN: "a key in a PKCS#11 token"}


class WrappingError(IdentityError):
    """The wrapping key is missing or is not the one; the text is one line."""


class KeyMissing(WrappingError):
    """There is no wrapping key where the settings say."""


class Wrapper(Protocol):
    """Seals secrets (AES-256-GCM). `context` is authenticated with them and not kept."""

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """`secret` sealed, 29 bytes longer; WrappingError when the key cannot be used."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """What `wrap` was given; WrappingError for another key or context, or for damage."""
        ...


def opened(wrapped: bytes, kind: int) -> tuple[bytes, bytes]:
    """(nonce, ciphertext with tag) of what a key of `kind` wrapped; WrappingError otherwise."""
    if len(wrapped) < 1 + NONCE_BYTES + TAG_BYTES or wrapped[0] not in _KINDS:
        raise WrappingError("a wrapped secret in the database is damaged: provision its node anew")
    if wrapped[0] != kind:
        raise WrappingError(
            f"a secret in the database was wrapped by {_KINDS[wrapped[0]]}, not by"
            f" {_KINDS[kind]}: set [keys] in kapok.toml as it was"
        )
    return wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]


def bound(kind: int, context: bytes) -> bytes:
    """What is authenticated with a secret: the format too, so that none passes for another."""
    return bytes((kind,)) + context


def refused(where: object) -> WrappingError:
    """Authentication failed."""
    return WrappingError(
        f"{where} does not open a secret in the database: it is another key, or the row was moved"
    )


class FileKey:
    """The wrapping key in a file of 32 bytes, mode 0600."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(key)

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new key, or the one that somebody else put there at the same moment."""
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            write_atomic(draft, secrets.token_bytes(KEY_BYTES), PRIVATE)
            # A link, unlike a rename, never replaces a key that may be in use already.
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        except OSError as e:
            raise WrappingError(f"cannot make {path}: {e.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The key of `path`; WrappingError when it is missing or has another size."""
        try:
            with path.open("rb") as file:
                key = file.read(KEY_BYTES + 1)
        except FileNotFoundError:
            raise KeyMissing(
                f"{path} is missing: restore it from a backup, or make a first one by kapok init"
            ) from None
        except OSError as e:
            raise WrappingError(f"cannot read {path}: {e.strerror}") from None
        if len(key) != KEY_BYTES:
            raise WrappingError(f"{path} does not hold {KEY_BYTES} bytes: restore it")
        return cls(path, key)

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """As Wrapper's."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, bytes(secret), bound(OF_FILE, context))
        return bytes((OF_FILE,)) + nonce + sealed

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """As Wrapper's."""
        nonce, sealed = opened(wrapped, OF_FILE)
        try:
            return SecretBytes(self._cipher.decrypt(nonce, sealed, bound(OF_FILE, context)))
        except InvalidTag:
            raise refused(self._path) from None


class Cached:
    """A wrapper that remembers the `size` secrets unwrapped last; whoever makes it owns them.

    A token takes milliseconds for one. What is keyed by the wrapped bytes cannot become stale: a
    new secret is wrapped to new bytes.
    """

    def __init__(self, wrapper: Wrapper, size: int = 4096) -> None:
        self._wrapper = wrapper
        self._unwrap = lru_cache(size)(wrapper.unwrap)  # of errors it remembers nothing

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """As Wrapper's."""
        return self._wrapper.wrap(secret, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """As Wrapper's."""
        return self._unwrap(wrapped, context)


def open_wrapper(settings: Settings) -> Wrapper:
    """The wrapping key of a data folder; WrappingError says in one line what is missing.

    A PKCS#11 library does not survive a fork: open it in the process that uses it.
    """
    if settings.pkcs11 is None:
        return FileKey.load(settings.wrapping_key)
    return _token_key().load(settings.pkcs11)


def create_wrapper(settings: Settings) -> Wrapper:
    """Make the wrapping key of a data folder where the settings say, unless it is there."""
    if settings.pkcs11 is None:
        return FileKey.create(settings.wrapping_key)
    return _token_key().create(settings.pkcs11)


def _token_key() -> "type[TokenKey]":
    try:
        from fleet.identity.wrapping_pkcs11 import TokenKey
    except ImportError:
        how = "pip install 'kapok[pkcs11]'"
        raise WrappingError(f"[keys.pkcs11] needs python-pkcs11: {how}") from None
    return TokenKey
