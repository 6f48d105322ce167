"""AES-CCM (RFC 3610) with a tag of 8 bytes and messages of up to 65,535 (M=8, L=2): COSE's
AES-CCM-16-64-128.
"""

import cryptolib
from micropython import const

from node.errors import OscoreError

TAG = const(8)
_ECB = const(1)
_CBC = const(2)
_FLAGS = const(0x59)  # of B_0 (2.2): additional data, M' = (8-2)/2 in bits 5..3, L' = 2-1


def seal(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
    """`plain` encrypted, then its tag. `key` is 16 bytes, `nonce` 13, `aad` 1 to 65,279."""
    work = bytearray(16) + plain
    work[:TAG] = _mac(key, nonce, aad, plain)
    _ctr(key, nonce, work)
    return bytes(work[16:]) + work[:TAG]


def open(key: bytes, nonce: bytes, aad: bytes, cipher: bytes) -> bytes:  # noqa: A001
    """What seal() had as `plain`; OscoreError when a bit of it, or of `aad`, is another."""
    size = len(cipher) - TAG
    if size < 0:
        raise OscoreError("a ciphertext of %d bytes" % len(cipher))
    work = bytearray(16) + cipher[:size]
    work[:TAG] = cipher[size:]
    _ctr(key, nonce, work)
    plain = bytes(work[16:])
    differ = 0
    for a, b in zip(_mac(key, nonce, aad, plain), work):  # all of it: its time tells nothing
        differ |= a ^ b
    if differ:
        raise OscoreError("the message does not verify")
    return plain


def _mac(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
    # 2.2: CBC-MAC, the last block of CBC from a zero vector. One call does all the XOR in C.
    if len(plain) > 0xFFFF:
        raise OscoreError("a message of %d bytes" % len(plain))
    head = bytes((_FLAGS,)) + nonce + len(plain).to_bytes(2, "big")
    head += len(aad).to_bytes(2, "big") + aad
    data = bytearray(head + bytes(-len(head) % 16) + plain + bytes(-len(plain) % 16))
    cryptolib.aes(key, _CBC, bytes(16)).encrypt(data, data)
    return bytes(data[-16:-TAG])


def _ctr(key: bytes, nonce: bytes, data: bytearray) -> None:
    # 2.3, in place: the first 16 bytes by S_0, which is the tag's. MicroPython's builds leave
    # AES-CTR out.
    aes = cryptolib.aes(key, _ECB)
    counter = bytearray(b"\x01" + nonce + b"\0\0")  # flags are L'
    block = bytearray(16)
    size = len(data)
    for at in range(0, size, 16):
        counter[14] = at >> 12
        counter[15] = at >> 4 & 255
        aes.encrypt(counter, block)
        for i in range(at, min(at + 16, size)):
            data[i] ^= block[i & 15]
