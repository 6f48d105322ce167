"""The wrapping key in a PKCS#11 token: an AES key of 256 bits that never leaves it."""

import secrets
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass
from pkcs11 import exceptions as failures

from fleet.identity.secret import SecretBytes
from fleet.identity.wrapping import (
    KEY_BYTES,
    NONCE_BYTES,
    OF_TOKEN,
    TAG_BYTES,
    KeyMissing,
    WrappingError,
    bound,
    opened,
    refused,
)
from fleet.settings import Pkcs11

_PIN_BYTES = 255
_GCM = Mechanism.AES_GCM
# By these a token says that a tag is wrong; SoftHSM has nothing more precise than GeneralError.
_NOT_AUTHENTIC = (
    failures.EncryptedDataInvalid,
    failures.EncryptedDataLenRange,
    failures.GeneralError,
)
T = TypeVar("T")


class TokenKey:
    """A key in a token, by the labels of both. One session, used by one thread at a time."""

    def __init__(self, where: Pkcs11) -> None:
        self._where = where
        self._name = f"the key {where.label!r} in the token {where.token!r}"
        self._lock = threading.Lock()
        self._key: Any = None  # a pkcs11.SecretKey, whose type does not tell what it can do

    @classmethod
    def load(cls, where: Pkcs11) -> "TokenKey":
        """The key that is there; WrappingError says in one line what is wrong."""
        made = cls(where)
        made._use(lambda key: key.key_length)
        return made

    @classmethod
    def create(cls, where: Pkcs11) -> "TokenKey":
        """Make the key in the token, unless it is there."""
        made = cls(where)
        try:
            made._use(lambda key: key.key_length)
        except KeyMissing:
            made._generate()
        return made

    def wrap(self, secret: bytes, context: bytes) -> bytes:
        """As Wrapper's."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        how = _gcm(nonce, context)

        def encrypt(key: Any) -> bytes:
            sealed: bytes = key.encrypt(bytes(secret), mechanism=_GCM, mechanism_param=how)
            return sealed

        return bytes((OF_TOKEN,)) + nonce + self._use(encrypt)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """As Wrapper's."""
        nonce, sealed = opened(wrapped, OF_TOKEN)
        how = _gcm(nonce, context)

        def decrypt(key: Any) -> SecretBytes:
            try:
                return SecretBytes(key.decrypt(sealed, mechanism=_GCM, mechanism_param=how))
            except _NOT_AUTHENTIC:
                raise refused(self._name) from None

        return self._use(decrypt)

    def _use(self, work: Callable[[Any], T]) -> T:
        """`work` with the key; once more in a new session when the token dropped this one."""
        with self._lock:
            if self._key is not None:
                try:
                    return work(self._key)
                except failures.PKCS11Error:
                    self._key = None
            try:
                self._key = self._find(self._open(rw=False))
                return work(self._key)
            except failures.PKCS11Error as e:
                self._key = None
                raise WrappingError(f"{self._name} cannot be used: {_said(e)}") from None

    def _find(self, session: pkcs11.Session) -> pkcs11.SecretKey:
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._where.label}
        found = list(session.get_objects(wanted))  # to its end: a search left open stays open
        if not found:
            raise KeyMissing(f"{self._name} is missing: kapok init makes a first one")
        if len(found) > 1:
            raise WrappingError(f"{self._name} is not the only one of that label")
        key = found[0]
        if (
            not isinstance(key, pkcs11.SecretKey)
            or key.key_type is not KeyType.AES
            or key.key_length != KEY_BYTES * 8
        ):
            raise WrappingError(f"{self._name} is no AES key of {KEY_BYTES * 8} bits")
        return key

    def _generate(self) -> None:
        try:
            self._open(rw=True).generate_key(
                KeyType.AES,
                KEY_BYTES * 8,
                label=self._where.label,
                store=True,
                template={Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True},
            )
        except failures.PKCS11Error as e:
            raise WrappingError(f"{self._name} cannot be made: {_said(e)}") from None

    def _open(self, *, rw: bool) -> pkcs11.Session:
        where = self._where
        pin = _pin(where)
        try:
            token = pkcs11.lib(str(where.module)).get_token(token_label=where.token)
        except failures.NoSuchToken:
            raise WrappingError(f"{where.module} has no token {where.token!r}") from None
        except failures.MultipleTokensReturned:
            raise WrappingError(f"{where.module} has several tokens {where.token!r}") from None
        except (failures.PKCS11Error, ValueError) as e:
            raise WrappingError(f"keys.pkcs11: {where.module}: {_said(e)}") from None
        try:
            return token.open(rw=rw, user_pin=pin)
        except failures.UserAlreadyLoggedIn:  # a login is the process's, not the session's
            return token.open(rw=rw)
        except (failures.PinIncorrect, failures.PinInvalid, failures.PinLenRange):
            raise WrappingError(
                f"the token {where.token!r} refuses the PIN in {where.pin_file}"
            ) from None
        except failures.PinLocked:
            raise WrappingError(f"the PIN of the token {where.token!r} is locked") from None


def _gcm(nonce: bytes, context: bytes) -> GCMParams:
    return GCMParams(nonce, bound(OF_TOKEN, context), TAG_BYTES * 8)


def _pin(where: Pkcs11) -> str:
    try:
        with where.pin_file.open("rb") as file:
            pin = file.read(_PIN_BYTES + 1).removesuffix(b"\n").decode()
    except OSError as e:
        raise WrappingError(f"cannot read the PIN in {where.pin_file}: {e.strerror}") from None
    except ValueError:
        pin = ""
    if not 0 < len(pin.encode()) <= _PIN_BYTES:
        raise WrappingError(f"{where.pin_file} holds no PIN: one line of text")
    return pin


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
