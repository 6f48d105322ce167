"""HMAC (RFC 2104) and HKDF (RFC 5869) with SHA-256. Imported only while keys are derived."""

import hashlib

from micropython import const

_BLOCK = const(64)  # bytes: SHA-256's


def hmac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256, 32 bytes."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key += bytes(_BLOCK - len(key))
    inner = hashlib.sha256(bytes([b ^ 0x36 for b in key]))
    inner.update(data)
    outer = hashlib.sha256(bytes([b ^ 0x5C for b in key]))
    outer.update(inner.digest())
    return outer.digest()


def extract(salt: bytes, secret: bytes) -> bytes:
    """The pseudorandom key (2.2); an empty salt is 32 zeros, as HMAC pads it anyway."""
    return hmac(salt, secret)


def expand(key: bytes, info: bytes, size: int) -> bytes:
    """`size` bytes, up to 8,160, of output keying material (2.3) from extract()'s `key`."""
    out = block = b""
    n = 0
    while len(out) < size:
        n += 1
        block = hmac(key, block + info + bytes((n,)))
        out += block
    return out[:size]
