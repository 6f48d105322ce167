"""Whose signatures a release has, by the same rules as on a node; `cryptography` does the sums."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from fleet.releases.bundle import Signature
from fleet.releases.errors import ReleaseError, SignatureError
from fleet.wire import release
from fleet.wire.trust import Trust

EXPONENT = 65537
SALT = 32
PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=SALT)


class Signers(NamedTuple):
    """How many of the release keys and of the root keys signed."""

    keys: int
    roots: int


def kid(modulus: bytes) -> bytes:
    """By what a key is known, 8 bytes."""
    return hashlib.sha256(modulus).digest()[: release.KID]


def signers(manifest: bytes, signatures: Sequence[Signature], trust: Trust) -> Signers:
    """Those who are trusted; what others signed counts nothing. SignatureError for a signature by
    the name of a key that is trusted, and not by that key: a node would refuse the whole.

    A key is by its place in `trust` what it is: a release key is no root key.
    """
    keys = {kid(modulus): modulus for modulus in trust.keys}
    roots: set[bytes] = set()
    good: set[bytes] = set()
    for name, signature, modulus in signatures:
        key = modulus or keys.get(name, b"")
        digest = hashlib.sha256(key).digest()
        trusted = key in trust.keys or digest in trust.roots
        if not trusted or kid(key) != name:
            continue
        if not is_by(key, manifest, signature):
            raise SignatureError(f"a signature in the name of {name.hex()} is not by that key")
        if key in trust.keys:
            good.add(name)
        if digest in trust.roots:
            roots.add(digest)
    return Signers(len(good), len(roots))


def check(manifest: bytes, signatures: Sequence[Signature], trust: Trust) -> Signers:
    """SignatureError unless a release key signed, or as many root keys as make the threshold;
    a change of keys needs the root keys.
    """
    found = signers(manifest, signatures, trust)
    says = release.decode(manifest)
    needs_roots = any(each.kind == release.KEYS for each in says.components)
    if found.roots >= trust.threshold or (found.keys and not needs_roots):
        return found
    if needs_roots:
        raise SignatureError(
            f"it changes keys: {trust.threshold} root keys must sign it, {found.roots} did"
        )
    raise SignatureError("no release key that nodes trust has signed it: kapok release sign")


def in_time(says: release.Manifest, now_us: int) -> None:
    """ReleaseError for a release that nodes install no more."""
    if says.expiry * 1_000_000 <= now_us:
        raise ReleaseError(f"release {says.sequence} expired: no node would install it")


def places(modulus: bytes, trust: Trust) -> frozenset[str]:
    """As what a key counts for nodes: "release", "root", or nothing."""
    found = set()
    if modulus in trust.keys:
        found.add("release")
    if hashlib.sha256(modulus).digest() in trust.roots:
        found.add("root")
    return frozenset(found)


def is_by(modulus: bytes, manifest: bytes, signature: bytes) -> bool:
    """Whether the key of this modulus signed the manifest."""
    try:
        key = RSAPublicNumbers(EXPONENT, int.from_bytes(modulus, "big")).public_key()
        key.verify(signature, release.signed(manifest), PSS, SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
