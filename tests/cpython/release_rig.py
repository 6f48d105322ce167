"""What tests of releases share: keys that are made once, bundles of the real firmware and of a
small one, and a fleet's database that trusts them.
"""

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import fleet_rig as rig
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from fleet.db.base import Database
from fleet.paths import firmware_dir
from fleet.releases import making, slots, target, trusting, verify
from fleet.releases.bundle import Bundle
from fleet.releases.target import Target
from fleet.wire import cbor, release
from fleet.wire.trust import MODULUS, Trust

METER = Target("gas-meter", "esp32s3-bc660k")
EXPIRY = rig.NOW_US // 1_000_000 + 400 * 86400
_MPY = b"M\x06\x00\x1f" + bytes(12)  # the head of bytecode; what follows runs nowhere


class Key:
    """A key of a person, offline."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(verify.EXPONENT, 3072)
        self.modulus = self._key.public_key().public_numbers().n.to_bytes(MODULUS, "big")
        self.kid = verify.kid(self.modulus)

    def sign(self, message: bytes) -> bytes:
        """As Signer's."""
        return self._key.sign(message, verify.PSS, SHA256())


class Keys(NamedTuple):
    """The release key, three root keys of which two must agree, and one that nobody trusts."""

    release: Key
    roots: tuple[Key, Key, Key]
    stranger: Key

    @property
    def trust(self) -> bytes:
        """What nodes have in NVS."""
        return trusting.make(1, 2, [root.modulus for root in self.roots], [self.release.modulus])


@functools.cache
def keys() -> Keys:
    """The same for all tests of a process: making them takes seconds."""
    return Keys(Key(), (Key(), Key(), Key()), Key())


def signed(made: Bundle, *by: Key, roots: Sequence[Key] = ()) -> Bundle:
    """With signatures of these keys, as release keys and as root keys."""
    message = release.signed(made.manifest)
    for key in by:
        made = made.signed_by((key.kid, key.sign(message), b""))
    for key in roots:
        made = made.signed_by((key.kid, key.sign(message), key.modulus))
    return made


@functools.cache
def real(sequence: int, wanted: Target = METER) -> Bundle:
    """A release of the firmware as it is."""
    order = making.Order(wanted, sequence, EXPIRY)
    return making.make(firmware_dir(), slots.cache_dir() / "node", order)


def small_image(sequence: int, wanted: Target = METER, **files: bytes) -> bytes:
    """An application's image of a few bytes; `files` by module, such as app=b"..."."""
    names = {"main": b"", **files}
    return slots.slot_image(
        {
            target.RELEASE: cbor.encode([sequence, wanted.role, wanted.board]),
            **{f"node/{name}.mpy": _MPY + data for name, data in names.items()},
        }
    )


def of(
    components: Mapping[int, bytes],
    sequence: int,
    wanted: Target = METER,
    versions: Mapping[int, int | str] | None = None,
    needs: Sequence[tuple[int, int]] = (),
    expiry: int = EXPIRY,
) -> Bundle:
    """A bundle of these components, whatever they are: nothing is checked."""
    manifest = release.Manifest(
        sequence, target.VENDOR.bytes, wanted.product, wanted.role, wanted.board,
        (0x603, 0x603), making.RUNTIMES,
        [
            release.Component(
                kind, len(data), hashlib.sha256(data).digest(), (versions or {}).get(kind, 0)
            )
            for kind, data in sorted(components.items())
        ],
        list(needs), expiry,
    )  # fmt: skip
    return Bundle(release.encode(manifest), (), dict(components), "{}")


def small(sequence: int, wanted: Target = METER, **files: bytes) -> Bundle:
    """A bundle of a small image, signed by the release key."""
    image = small_image(sequence, wanted, **files)
    return signed(of({release.APPLICATION: image}, sequence, wanted), keys().release)


def trusting_database(folder: Path) -> Database:
    """A database with every table, which trusts `keys`."""
    database = rig.open_database(folder)
    with database.begin() as session:
        trusting.install(session, keys().trust, "Li Wei", rig.NOW_US)
    return database


_moduli = itertools.count(1)


def some_trust(sequence: int = 1) -> bytes:
    """A trust that no key fits, for who only passes it on."""
    filler = next(_moduli).to_bytes(2, "big")
    return trusting.trust.encode(
        Trust(sequence, 1, [filler * 16], [b"\x80" + filler * (MODULUS // 2 - 1) + b"\x01"])
    )
