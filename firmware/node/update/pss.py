"""RSA-PSS signatures (RFC 8017, 8.1.2) of one kind only: 3072 bits, e = 65537, SHA-256, salt 32.

Nothing of that is taken from a message. `make bench-update` has what a verification takes.
"""

import hashlib

from micropython import const

_SIZE = const(384)  # bytes of modulus and signature
_HASH = const(32)
_SALT = const(32)
_MASKED = const(351)  # _SIZE - _HASH - 1: bytes of the masked block
_EXPONENT = const(65537)


def verify(modulus: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` is by the key of `modulus`, most significant byte first.
    Total: any bytes give an answer.
    """
    if len(modulus) != _SIZE or len(signature) != _SIZE or not modulus[0] & 0x80:
        return False
    n = int.from_bytes(modulus, "big")
    s = int.from_bytes(signature, "big")
    if s >= n:
        return False
    block = pow(s, _EXPONENT, n).to_bytes(_SIZE, "big")
    # 9.1.2 with emBits 3071: the first bit is 0, the last byte is 0xBC.
    if block[_SIZE - 1] != 0xBC or block[0] & 0x80:
        return False
    digest = block[_MASKED : _MASKED + _HASH]
    plain = bytearray(block[:_MASKED])
    at = count = 0
    while at < _MASKED:  # B.2.1: MGF1
        mask = hashlib.sha256(digest + count.to_bytes(4, "big")).digest()
        for byte in mask[: _MASKED - at]:
            plain[at] ^= byte
            at += 1
        count += 1
    plain[0] &= 0x7F
    salt = bytes(plain[_MASKED - _SALT :])
    plain[_MASKED - _SALT - 1] ^= 1
    if any(plain[: _MASKED - _SALT]):
        return False
    hasher = hashlib.sha256(bytes(8))
    hasher.update(hashlib.sha256(message).digest())
    hasher.update(salt)
    return hasher.digest() == digest
