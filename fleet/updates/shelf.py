"""What the releases hold, as much of it as is served to nodes."""

from hashlib import sha256
from typing import NamedTuple

from sqlalchemy.orm import Session

from fleet.errors import Refusal
from fleet.releases import deltas, store
from fleet.wire import release

GIVEN = ("released", "promoted")  # states of a release that nodes may be given


class NoReleaseError(Refusal, LookupError):
    """There is no such release, or nodes may not be given it."""


class Held(NamedTuple):
    """A release that may be given: its manifest, decoded, the digest of its bytes (SHA-256), and
    the envelope that the stream begins with.
    """

    manifest: release.Manifest
    digest: bytes
    envelope: bytes


def may_be_given(session: Session, sequence: int) -> bool:
    """Whether a release is signed and was not revoked."""
    row = store.release(session, sequence)
    return row is not None and row.state in GIVEN and bool(row.envelope)


def held(session: Session, sequence: int) -> Held:
    """NoReleaseError: none, a draft, or revoked."""
    row = store.release(session, sequence)
    if row is None:
        raise NoReleaseError(f"no release {sequence}: see kapok release list")
    if row.state not in GIVEN or not row.envelope:
        raise NoReleaseError(f"release {sequence} is {row.state}: nodes are given signed ones only")
    manifest = bytes(row.manifest)
    return Held(release.decode(manifest), sha256(manifest).digest(), bytes(row.envelope))


def component(session: Session, sequence: int, kind: int) -> bytes:
    """The bytes that are installed in the end."""
    return bytes(store.component(session, sequence, kind))


def base_of(session: Session, image: int) -> bytes | None:
    """The first bytes of the digest of an image that a release has, by the first four of them:
    what a delta starts from. None for an image that no release has.
    """
    found = store.find_by_image(session, image.to_bytes(4, "big"))
    row = None if found is None else store.release(session, found)
    if row is None:
        return None
    for each in release.decode(bytes(row.manifest)).components:
        if each.kind == release.APPLICATION:
            return bytes(each.digest[: release.BASE])
    return None


def delta(session: Session, base: bytes, sequence: int) -> bytes | None:
    """The proved patch from an image to a release's application, None while there is none."""
    found = deltas.ready(session, base, sequence)
    return None if found is None else bytes(found)
