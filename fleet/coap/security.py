"""OSCORE (RFC 8613) of the fleet's end: keys and primitives by aiocoap, each nonce used once."""

from typing import Any

import cbor2
from aiocoap import oscore

MOST_PIV_BYTES = 5  # RFC 8613, 7.2.1
SENDER_ID = b""  # the fleet's, in every context
TAG_BYTES = 8


class OptionError(ValueError):
    """The OSCORE option cannot be decoded, or asks for what is not spoken here."""


class NotAuthenticError(ValueError):
    """The ciphertext is not of who its kid names, or not for this request."""


class Binding:
    """What ties an answer to its request: kid and Partial IV (RFC 8613, 5.4)."""

    __slots__ = ("_nonce_is_free", "kid", "piv")

    def __init__(self, kid: bytes, piv: bytes) -> None:
        self.kid = kid
        self.piv = piv
        self._nonce_is_free = True

    @property
    def number(self) -> int:
        """The Partial IV as a number."""
        return int.from_bytes(self.piv, "big")

    def take_nonce(self) -> None:
        """Once for each request; RuntimeError afterwards, whatever the caller was about to do."""
        if not self._nonce_is_free:
            raise RuntimeError("the nonce of this request was used for an answer already")
        self._nonce_is_free = False


def read_option(value: bytes) -> Binding:
    """The binding of a request from its OSCORE option (RFC 8613, 6.1); OptionError.

    A kid context is refused: no context of this fleet has an ID context. Of groups nothing is
    understood (bit 5), and the rest is reserved.
    """
    if not value or value[0] & 0xE0:
        raise OptionError("flags")
    if value[0] & 0x18 != 0x08:
        raise OptionError("kid, or a kid context")
    size = value[0] & 7
    if not 1 <= size <= MOST_PIV_BYTES or len(value) < 1 + size:
        raise OptionError("Partial IV")
    return Binding(value[1 + size :], value[1 : 1 + size])


class Security(
    oscore.CanProtect,  # type: ignore[misc]
    oscore.CanUnprotect,  # type: ignore[misc]
    oscore.SecurityContextUtils,  # type: ignore[misc]
):
    """Keys of one context, and the two operations. The replay window is in the database."""

    alg_aead = oscore.algorithms["AES-CCM-16-64-128"]
    hashfun = oscore.hashfunctions["sha256"]
    id_context = None
    sender_id = SENDER_ID

    def __init__(self, secret: bytes, kid: bytes) -> None:
        self.recipient_id = kid
        self.derive_keys(b"", secret)

    def open(self, binding: Binding, ciphertext: bytes) -> bytes:
        """Code, options and payload of a request; NotAuthenticError."""
        if len(ciphertext) < TAG_BYTES + 1:
            raise NotAuthenticError("shorter than a tag and a code")
        nonce = self._construct_nonce(binding.piv, binding.kid, self.alg_aead)
        try:
            plain: bytes = self.alg_aead.decrypt(
                ciphertext, _authenticated(binding), self.recipient_key, nonce
            )
        except oscore.ProtectionInvalid:
            raise NotAuthenticError("tag") from None
        return plain

    def answer(self, binding: Binding, plain: bytes) -> tuple[bytes, bytes]:
        """OSCORE option and ciphertext under the request's own nonce.

        Only behind the commit that struck the request's number, and only once.
        """
        binding.take_nonce()
        nonce = self._construct_nonce(binding.piv, binding.kid, self.alg_aead)
        return b"", self._sealed(binding, plain, nonce)

    def answer_numbered(self, binding: Binding, plain: bytes, number: int) -> tuple[bytes, bytes]:
        """The same under a number of the fleet's own, which nothing else was sealed with."""
        piv = number.to_bytes(MOST_PIV_BYTES, "big").lstrip(b"\0") or b"\0"
        nonce = self._construct_nonce(piv, self.sender_id, self.alg_aead)
        return bytes((len(piv),)) + piv, self._sealed(binding, plain, nonce)

    def _sealed(self, binding: Binding, plain: bytes, nonce: bytes) -> bytes:
        sealed: bytes = self.alg_aead.encrypt(
            plain, _authenticated(binding), self.sender_key, nonce
        )
        return sealed

    def post_seqnoincrease(self) -> Any:
        """aiocoap would number by itself: the fleet's numbers are in the database."""
        raise NotImplementedError


def _authenticated(binding: Binding) -> bytes:
    """The Enc_structure over the external AAD (RFC 8613, 5.4; no Class I options)."""
    external = cbor2.dumps([1, [oscore.AES_CCM_16_64_128.value], binding.kid, binding.piv, b""])
    return cbor2.dumps(["Encrypt0", b"", external])
