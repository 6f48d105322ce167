"""A search for private keys where none may lie, in every form in which one is usually kept."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)


class SearchBlind(RuntimeError):
    """The search does not find what was put there for it: its silence means nothing."""


def _base64(secret: bytes) -> Iterator[bytes]:
    """The part of its base64 that does not depend on what stands before and behind it."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + secret)
        whole = text[-(-before * 8 // 6) : -4]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def forms(der: bytes) -> set[bytes]:
    """The private key `der` as DER, raw scalar (either end first), hex, base64 and PEM's body."""
    key = load_der_private_key(der, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    found = {der, scalar, scalar[::-1]}
    for kind in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        found.add(key.private_bytes(Encoding.DER, kind, NoEncryption()))
        pem = key.private_bytes(Encoding.PEM, kind, NoEncryption()).split(b"\n")
        found.add(pem[1])  # the first line of both has bytes of the scalar
    digits = [scalar.hex(), der.hex()]
    found |= {text.encode() for text in digits} | {text.upper().encode() for text in digits}
    return found | set(_base64(scalar)) | set(_base64(der))


def _contents(folders: Iterable[Path], skip: frozenset[str]) -> Iterator[tuple[Path, bytes]]:
    """Every file once, by content: what was killed leaves many that are the same."""
    seen: set[bytes] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.name in skip or not path.is_file():
                continue
            data = path.read_bytes()
            digest = hashlib.sha256(data).digest()
            if digest not in seen:
                seen.add(digest)
                yield path, data


def search(
    keys: Iterable[bytes], folders: Iterable[Path], skip: frozenset[str] = frozenset()
) -> list[str]:
    """Which of the keys (DER) lie in which file; `skip`: names of files that are the boards'."""
    wanted = [(number, form) for number, key in enumerate(keys) for form in forms(key)]
    return [
        f"key {number} in {path}"
        for path, data in _contents(folders, skip)
        for number in {number for number, form in wanted if form in data}
    ]


def check_sight(key: bytes, folders: Iterable[Path]) -> None:
    """SearchBlind unless the key is found in each form, planted in each folder."""
    for folder in folders:
        planted = folder / "planted.log"
        for form in forms(key):
            planted.write_bytes(b"\x00x" * 100 + form + b"\n" * 9)
            try:
                if not search([key], [folder]):
                    raise SearchBlind(f"a key planted in {folder} is not found")
            finally:
                planted.unlink()
