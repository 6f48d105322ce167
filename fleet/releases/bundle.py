"""A bundle: one file with a release's manifest, its signatures, its components' bytes and its
bill of materials. Behind MAGIC, strict CBOR [1, manifest, [[key id, signature, modulus]],
[[kind, bytes]], sbom].
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fleet.identity.files import PUBLIC, write_atomic
from fleet.releases.errors import BundleError
from fleet.wire import cbor, release
from fleet.wire.uplink import ReportError

VERSION = 1
MAGIC = b"kapok bundle\0"  # of a file, before the CBOR
LARGEST = 32 * 1024 * 1024  # bytes of a file that is looked at
_MOST_SIGNATURES = 3
_LONGEST_SBOM = 4 * 1024 * 1024

Signature = tuple[bytes, bytes, bytes]  # key id, signature, modulus


class Bundle(NamedTuple):
    """`manifest` as its bytes; `signatures` as release.seal takes them; `components` by kind."""

    manifest: bytes
    signatures: tuple[Signature, ...]
    components: Mapping[int, bytes]
    sbom: str

    @property
    def says(self) -> release.Manifest:
        """The manifest; BundleError where it is none."""
        try:
            return release.decode(self.manifest)
        except ReportError as e:
            raise BundleError(f"its manifest: {e}") from None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the manifest: the release's name wherever a number is not enough."""
        return hashlib.sha256(self.manifest).digest()

    @property
    def envelope(self) -> bytes:
        """What nodes get before anything else; BundleError where it is too large for them."""
        sealed = release.seal(self.manifest, list(self.signatures))
        if len(sealed) > release.MAX_ENVELOPE:
            most = release.MAX_ENVELOPE
            raise BundleError(
                f"an envelope of {len(sealed)} bytes, nodes take {most}: where root keys sign, no"
                " release key need"
            )
        return sealed

    def signed_by(self, more: Signature) -> "Bundle":
        """With a signature more, in place of one of the same key."""
        kept = [one for one in self.signatures if one[0] != more[0]]
        if len(kept) == _MOST_SIGNATURES:
            raise BundleError(f"it has {_MOST_SIGNATURES} signatures: no more have a place")
        return self._replace(signatures=tuple(sorted([*kept, more])))

    def unsigned_by(self, kid: str) -> "Bundle":
        """Without the signature of a key, its id in hex; BundleError where it has none."""
        kept = tuple(one for one in self.signatures if one[0].hex() != kid)
        if len(kept) == len(self.signatures):
            raise BundleError(f"no signature of {kid[:16]!r}: kapok release inspect")
        return self._replace(signatures=kept)


def encode(bundle: Bundle) -> bytes:
    """The bytes of the file, the same for the same bundle; BundleError where they are too many."""
    raw = MAGIC + cbor.encode(
        [
            VERSION,
            bundle.manifest,
            [list(one) for one in bundle.signatures],
            [[kind, data] for kind, data in sorted(bundle.components.items())],
            bundle.sbom,
        ]
    )
    if len(raw) > LARGEST:
        raise BundleError(f"a bundle of {len(raw)} bytes: nobody reads one over {LARGEST}")
    return raw


def decode(raw: bytes) -> Bundle:
    """The bundle in a file's bytes; BundleError for all others. What it holds is not verified."""
    if raw[: len(MAGIC)] != MAGIC:
        raise BundleError("no bundle: kapok release build makes one")
    try:
        flat = cbor.decode(raw[len(MAGIC) :])
    except cbor.CborError as e:
        raise BundleError(f"a damaged bundle: {e}") from None
    if not isinstance(flat, list) or len(flat) != 5 or flat[0] != VERSION or flat[0] is True:
        raise BundleError("a bundle of another version: take the kapok that made it")
    manifest, signatures, components, sbom = flat[1:]
    if not isinstance(manifest, bytes) or not isinstance(sbom, str):
        raise BundleError("a damaged bundle: its manifest or its bill of materials is none")
    if len(sbom) > _LONGEST_SBOM:
        raise BundleError(f"its bill of materials is longer than {_LONGEST_SBOM}")
    found: dict[int, bytes] = {}
    for kind, data in _pairs(components):
        if kind in found:
            raise BundleError(f"component {kind} is there twice")
        found[kind] = data
    return Bundle(manifest, tuple(_signatures(signatures)), found, sbom)


def read(path: Path) -> Bundle:
    """The bundle in a file; BundleError names it."""
    try:
        if path.stat().st_size > LARGEST:
            raise BundleError(f"over {LARGEST} bytes: no bundle")
        return decode(path.read_bytes())
    except OSError as e:
        raise BundleError(f"{path}: cannot be read: {e.strerror}") from None
    except BundleError as e:
        raise BundleError(f"{path}: {e}") from None


def write(path: Path, bundle: Bundle) -> None:
    """Whole or not at all."""
    write_atomic(path, encode(bundle), PUBLIC)


def _pairs(value: Any) -> list[tuple[int, bytes]]:
    if not isinstance(value, list):
        raise BundleError("a damaged bundle: its components are no list")
    for each in value:
        if (
            not isinstance(each, list)
            or len(each) != 2
            or type(each[0]) is not int
            or not isinstance(each[1], bytes)
        ):
            raise BundleError("a damaged bundle: a component is [kind, bytes]")
    return [(kind, data) for kind, data in value]


def _signatures(value: Any) -> list[Signature]:
    if not isinstance(value, list) or len(value) > _MOST_SIGNATURES:
        raise BundleError(f"a damaged bundle: up to {_MOST_SIGNATURES} signatures")
    found: list[Signature] = []
    for each in value:
        if (
            not isinstance(each, list)
            or len(each) != 3
            or not all(isinstance(part, bytes) for part in each)
        ):
            raise BundleError("a damaged bundle: a signature is [key id, signature, modulus]")
        kid, signature, modulus = each
        lengths = len(kid), len(signature), len(modulus)
        if lengths not in ((release.KID, release.SIGNATURE, n) for n in (0, release.SIGNATURE)):
            raise BundleError("a damaged bundle: a signature of the wrong length")
        if kid in {one[0] for one in found}:
            raise BundleError("a damaged bundle: a key signs twice")
        found.append((kid, signature, modulus))
    return found
