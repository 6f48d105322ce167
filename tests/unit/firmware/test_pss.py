"""The node's verifier of signatures: what `cryptography` signs, and nothing else."""

import hashlib

import pytest
import update_rig as rig
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from node.update import pss

MESSAGE = b"kapok release\0" + bytes(range(200))
SHA = hashes.SHA256()


@pytest.fixture(scope="module")
def signature() -> bytes:
    return rig.key("release").sign(MESSAGE)


def test_a_signature_verifies(signature: bytes) -> None:
    assert pss.verify(rig.key("release").modulus, MESSAGE, signature)
    for message in (b"", b"x", bytes(5_000)):
        assert pss.verify(rig.key("release").modulus, message, rig.key("release").sign(message))


def test_not_by_another_key_nor_over_another_message(signature: bytes) -> None:
    assert not pss.verify(rig.key("root0").modulus, MESSAGE, signature)
    assert not pss.verify(rig.key("release").modulus, MESSAGE + b"\0", signature)
    assert not pss.verify(rig.key("release").modulus, b"", signature)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 8 * 384 - 1))
def test_no_bit_of_it_may_differ(bit: int) -> None:
    raw = bytearray(rig.key("release").sign(MESSAGE))
    raw[bit >> 3] ^= 1 << (bit & 7)
    assert not pss.verify(rig.key("release").modulus, MESSAGE, bytes(raw))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=50), st.binary(max_size=400))
def test_any_bytes_give_an_answer(modulus: bytes, message: bytes, signature: bytes) -> None:
    assert not pss.verify(modulus, message, signature)


def test_a_signature_that_is_not_below_the_modulus() -> None:
    """s + n is the same number modulo n: one signature, one form."""
    key = rig.key("release")
    n = int.from_bytes(key.modulus, "big")
    for i in range(40):
        message = b"%d" % i
        s = int.from_bytes(key.sign(message), "big") + n
        if s < 1 << 3072:
            assert not pss.verify(key.modulus, message, s.to_bytes(384, "big"))
            break
    else:
        pytest.fail("none of 40 signatures was small enough")
    for s in (0, 1, n - 1, n, (1 << 3072) - 1):
        assert not pss.verify(key.modulus, MESSAGE, s.to_bytes(384, "big"))


def _private() -> rsa.RSAPrivateKey:
    return rig.key("release")._key


@pytest.mark.parametrize("salt", [0, 20, 31, 33, 64])
def test_only_a_salt_of_32_bytes(salt: int) -> None:
    made = _private().sign(MESSAGE, padding.PSS(padding.MGF1(SHA), salt), SHA)
    assert not pss.verify(rig.key("release").modulus, MESSAGE, made)


def test_no_other_padding_and_no_other_hash() -> None:
    modulus = rig.key("release").modulus
    other = hashes.SHA512()
    for made in (
        _private().sign(MESSAGE, padding.PKCS1v15(), SHA),
        _private().sign(MESSAGE, padding.PSS(padding.MGF1(other), 32), SHA),
        _private().sign(MESSAGE, padding.PSS(padding.MGF1(SHA), 32), other),
    ):
        assert not pss.verify(modulus, MESSAGE, made)


@pytest.mark.parametrize("bits", [2048])
def test_no_other_size_of_key(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    modulus = key.public_key().public_numbers().n.to_bytes(bits // 8, "big")
    made = key.sign(MESSAGE, padding.PSS(padding.MGF1(SHA), 32), SHA)
    assert not pss.verify(modulus, MESSAGE, made)
    assert not pss.verify(modulus.rjust(384, b"\0")[-384:], MESSAGE, made.rjust(384, b"\0")[-384:])


def _raised(block: bytes) -> bytes:
    """What a signer of any block would give for it."""
    numbers = _private().private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes(384, "big")


def _block(salt: bytes, padding_: bytes = bytes(318), one: int = 1, end: int = 0xBC) -> bytes:
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(MESSAGE).digest() + salt).digest()
    plain = padding_ + bytes((one,)) + salt
    mask = b"".join(hashlib.sha256(digest + i.to_bytes(4, "big")).digest() for i in range(11))
    masked = bytearray(a ^ b for a, b in zip(plain, mask[:351], strict=True))
    masked[0] &= 0x7F
    return bytes(masked) + digest + bytes((end,))


def test_each_part_of_the_block_is_looked_at() -> None:
    modulus = rig.key("release").modulus
    salt = bytes(range(32))
    good = _block(salt)
    assert pss.verify(modulus, MESSAGE, _raised(good))
    wrong = [
        _block(salt, end=0xBD), _block(salt, end=0), _block(salt, one=0), _block(salt, one=3),
        _block(salt, padding_=b"\1" + bytes(317)), _block(salt, padding_=bytes(317) + b"\1"),
        _block(salt, padding_=bytes(100) + b"\x80" + bytes(217)),
        good[:351] + bytes(32) + b"\xbc", bytes(383) + b"\xbc", bytes(384),
    ]  # fmt: skip
    for block in wrong:
        assert not pss.verify(modulus, MESSAGE, _raised(block))
