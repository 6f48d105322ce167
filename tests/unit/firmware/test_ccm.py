"""AES-CCM-16-64-128 and HKDF-SHA-256 against their RFCs and against `cryptography`."""

import json
import random
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import OscoreError
from node.link import ccm, hkdf

ROOT = Path(__file__).parents[3]
KEYS = st.binary(min_size=16, max_size=16)
NONCES = st.binary(min_size=13, max_size=13)
AADS = st.binary(min_size=1, max_size=70)
PLAINS = st.binary(max_size=100)


def reference(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> bytes:
    return AESCCM(key, tag_length=8).encrypt(nonce, plain, aad)


@given(KEYS, NONCES, AADS, PLAINS)
def test_what_is_sealed_is_what_cryptography_seals_and_opens_again(
    key: bytes, nonce: bytes, aad: bytes, plain: bytes
) -> None:
    sealed = ccm.seal(key, nonce, aad, plain)
    assert sealed == reference(key, nonce, aad, plain)
    assert ccm.open(key, nonce, aad, sealed) == plain


@given(KEYS, NONCES, AADS, PLAINS, st.data())
def test_a_flipped_bit_anywhere_is_refused(
    key: bytes, nonce: bytes, aad: bytes, plain: bytes, data: st.DataObject
) -> None:
    parts = [key, nonce, aad, reference(key, nonce, aad, plain)]
    which = data.draw(st.integers(0, 3))
    at = data.draw(st.integers(0, len(parts[which]) * 8 - 1))
    changed = bytearray(parts[which])
    changed[at // 8] ^= 1 << at % 8
    parts[which] = bytes(changed)
    with pytest.raises(OscoreError):
        ccm.open(*parts)


@given(KEYS, NONCES, AADS, st.binary(max_size=40))
def test_any_other_bytes_are_refused(key: bytes, nonce: bytes, aad: bytes, cipher: bytes) -> None:
    with pytest.raises(OscoreError):
        ccm.open(key, nonce, aad, cipher)


def test_without_the_tag_a_flipped_bit_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: what the comparison is there for."""
    sealed = bytearray(ccm.seal(bytes(16), bytes(13), b"a", b"open the valve: no "))
    sealed[16] ^= 0x01
    with pytest.raises(OscoreError):
        ccm.open(bytes(16), bytes(13), b"a", bytes(sealed))
    monkeypatch.setattr(ccm, "_mac", lambda *_: b"")
    assert ccm.open(bytes(16), bytes(13), b"a", bytes(sealed)) == b"open the valve: oo "


def test_rfc_3610_packet_vector_1() -> None:
    key = bytes(range(0xC0, 0xD0))
    nonce = bytes.fromhex("00000003020100a0a1a2a3a4a5")
    sealed = ccm.seal(key, nonce, bytes(range(8)), bytes(range(8, 0x1F)))
    assert sealed.hex() == "588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"


def test_the_longest_message_is_sealed_and_a_longer_one_refused() -> None:
    longest = bytes(0xFFFF)
    assert ccm.seal(bytes(16), bytes(13), b"a", longest) == reference(
        bytes(16), bytes(13), b"a", longest
    )
    with pytest.raises(OscoreError, match="65536"):
        ccm.seal(bytes(16), bytes(13), b"a", longest + b"\0")


@pytest.mark.parametrize(
    ("secret", "salt", "info", "okm"),
    [
        (  # RFC 5869, A.1
            b"\x0b" * 22,
            bytes(range(0x0D)),
            bytes(range(0xF0, 0xFA)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (  # A.2
            bytes(range(0x50)),
            bytes(range(0x60, 0xB0)),
            bytes(range(0xB0, 0x100)),
            (
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271"
                "cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            ),
        ),
        (  # A.3
            b"\x0b" * 22,
            b"",
            b"",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
)
def test_rfc_5869_vectors(secret: bytes, salt: bytes, info: bytes, okm: str) -> None:
    made = hkdf.expand(hkdf.extract(salt, secret), info, len(okm) // 2)
    assert made.hex() == okm


@given(
    st.binary(max_size=130), st.binary(max_size=130), st.binary(max_size=60), st.integers(1, 100)
)
@settings(max_examples=50)
def test_hkdf_is_what_cryptography_derives(
    salt: bytes, secret: bytes, info: bytes, size: int
) -> None:
    expected = HKDF(hashes.SHA256(), size, salt, info).derive(secret)
    assert hkdf.expand(hkdf.extract(salt, secret), info, size) == expected


def test_the_vm_computes_the_same(tmp_path: Path, micropython: list[str]) -> None:
    draw = random.Random(3610)
    cases: dict[str, list[list[object]]] = {"ccm": [], "hkdf": []}
    for n in range(120):
        key, nonce = draw.randbytes(16), draw.randbytes(13)
        aad, plain = draw.randbytes(1 + n % 50), draw.randbytes(n if n % 9 else n * 8)
        sealed = reference(key, nonce, aad, plain)
        parts = [value.hex() for value in (key, nonce, aad, plain, sealed)]
        cases["ccm"].append([*parts, draw.randrange(1000), draw.randrange(8)])
        salt, secret, info = (draw.randbytes(draw.randrange(100)) for _ in range(3))
        okm = HKDF(hashes.SHA256(), 1 + n, salt, info).derive(secret)
        cases["hkdf"].append([salt.hex(), secret.hex(), info.hex(), 1 + n, okm.hex()])
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    script = [str(ROOT / "tests/vm/oscore_check.py"), str(ROOT / "firmware")]
    ran = subprocess.run(
        [*micropython, *script, str(tmp_path / "cases.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"ran": 240, "differ": []}
