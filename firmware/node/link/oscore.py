"""OSCORE (RFC 8613), the client's side: requests are sealed, answers to them opened.

AES-CCM-16-64-128 and HKDF-SHA-256. A plaintext is the code, the inner options, and 0xff with the
payload where there is one (5.3).
"""

from micropython import const

from node.errors import OscoreError
from node.link import ccm
from node.modules import forget
from node.wire import cbor

_AEAD = const(10)  # AES-CCM-16-64-128, RFC 9053 section 4.2
_LAST = const((1 << 40) - 1)  # the highest Sender Sequence Number (7.2.1)
_HELD = const(32)  # the peer's numbers that are kept, to take each once

_PIV = const(0x07)  # the flag byte of the option (6.1): length of the Partial IV
_KID = const(0x08)
_KID_CONTEXT = const(0x10)


def parse(option: bytes) -> "tuple[bytes | None, bytes | None, bytes | None]":
    """Partial IV, kid context and kid of an OSCORE option's value (6.1), None what is absent.

    Total: any bytes give this or OscoreError.
    """
    if not option:
        return None, None, None
    flags = option[0]
    size = flags & _PIV
    at = 1 + size
    if not flags or flags >> 5 or size > 5 or at > len(option):
        raise OscoreError("OSCORE option with flags 0x%02x in %d bytes" % (flags, len(option)))
    piv = option[1:at] if size else None
    if size > 1 and not option[1]:
        raise OscoreError("Partial IV with leading zeros")
    context = kid = None
    if flags & _KID_CONTEXT:
        end = at + 1 + option[at] if at < len(option) else 256
        if end > len(option):
            raise OscoreError("OSCORE option ends in its kid context")
        context = option[at + 1 : end]
        at = end
    if flags & _KID:
        kid = option[at:]
    elif at < len(option):
        raise OscoreError("OSCORE option with bytes behind its fields")
    return piv, context, kid


class Context:
    """A security context. `next_number` gives an int that it never gave before for this secret.

    `secret`, `salt`, and the identifiers `sender` and `recipient` (0 to 7 bytes) are bytes.
    """

    def __init__(
        self,
        secret: bytes,
        sender: bytes,
        recipient: bytes,
        next_number,
        salt: bytes = b"",
        id_context: "bytes | None" = None,
    ) -> None:
        from node.link import hkdf

        self.sender = sender
        self.recipient = recipient
        self._number = next_number
        self._id_context = id_context
        self._taken = []  # Partial IVs of the peer's own that were accepted, newest last
        key = hkdf.extract(salt, secret)
        self.sender_key = hkdf.expand(key, info(sender, id_context, "Key", 16), 16)
        self.recipient_key = hkdf.expand(key, info(recipient, id_context, "Key", 16), 16)
        self.common_iv = hkdf.expand(key, info(b"", id_context, "IV", 13), 13)
        forget("node.link.hkdf")

    def seal(self, plain: bytes) -> "tuple[bytes, bytes, tuple[bytes, bytes]]":
        """A request: value of its OSCORE option, its payload, and what open() takes for it."""
        piv = self._piv()
        head = bytes((len(piv) | _KID,)) + piv
        if self._id_context is not None:
            head = bytes((head[0] | _KID_CONTEXT,)) + piv
            head += bytes((len(self._id_context),)) + self._id_context
        request = (self.sender, piv)
        cipher = ccm.seal(self.sender_key, self.nonce(request), aad(request), plain)
        return head + self.sender, cipher, request

    def open(self, request: "tuple[bytes, bytes]", option: bytes, cipher: bytes) -> bytes:
        """The plaintext of an answer to `request`; OscoreError when it is none.

        An answer with a Partial IV of its own is taken once. One without has the request's
        nonce: the peer gives at most one of these, and the exchange is over with it.
        """
        piv = self._addressed(option)[0]
        if piv is not None and piv in self._taken:
            raise OscoreError("an answer that was taken before")
        nonce = self.nonce(request if piv is None else (self.recipient, piv))
        plain = self._opened(nonce, request, cipher)
        if piv is not None:
            # A list, no window: the fleet's workers take their numbers in ranges, out of order.
            self._taken = self._taken[1 - _HELD :] + [piv]
        return plain

    def _addressed(self, option: bytes) -> "tuple[bytes | None, bytes | None]":
        # Partial IV and kid of a message for this context, by what it says.
        piv, context, kid = parse(option)
        if (kid is not None and kid != self.recipient) or (
            context is not None and context != self._id_context
        ):
            raise OscoreError("a message of another security context")
        return piv, kid

    def _opened(self, nonce: bytes, request: "tuple[bytes, bytes]", cipher: bytes) -> bytes:
        if len(cipher) <= ccm.TAG:
            raise OscoreError("a ciphertext without a code")
        return ccm.open(self.recipient_key, nonce, aad(request), cipher)

    def _piv(self) -> bytes:
        number = self._number()
        if number > _LAST:
            raise OscoreError("the sender sequence is used up: rotate the key")
        return number.to_bytes(5, "big").lstrip(b"\0") or b"\0"

    def nonce(self, origin: "tuple[bytes, bytes]") -> bytes:
        """AEAD nonce (5.2) of the (identifier, Partial IV) that one side drew: 13 bytes."""
        identifier, piv = origin
        text = bytes((len(identifier),)) + bytes(7 - len(identifier)) + identifier
        text += bytes(5 - len(piv)) + piv
        return bytes([a ^ b for a, b in zip(text, self.common_iv)])


def info(identifier: bytes, id_context: "bytes | None", kind: str, size: int) -> bytes:
    """What a derived key or IV is for (3.2.1)."""
    return cbor.encode([identifier, id_context, _AEAD, kind, size])


def aad(request: "tuple[bytes, bytes]") -> bytes:
    """Additional data (5.4) of `request` and of its answer, which binds it. No class I options."""
    external = cbor.encode([1, [_AEAD], request[0], request[1], b""])
    return cbor.encode(["Encrypt0", b"", external])
