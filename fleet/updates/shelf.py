"""What the releases hold, as much of it as is served to nodes."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.releases import deltas, store
from fleet.releases.errors import ReleaseError
from fleet.releases.tables import PROMOTED, Release
from fleet.wire import release


class NotGivenError(ReleaseError):
    """A release that nodes may not be given."""


class Held(NamedTuple):
    """A release that may be given. `digest`: SHA-256 of the manifest's bytes; `envelope`: what the
    stream begins with; `image`: the first bytes of its application's digest, None without one.
    """

    manifest: release.Manifest
    digest: bytes
    envelope: bytes
    image: bytes | None


def may_be_given(session: Session, sequence: int) -> bool:
    """Whether a release was promoted, and not revoked."""
    state = session.scalar(select(Release.state).where(Release.sequence == sequence))
    return state == PROMOTED


def held(session: Session, sequence: int) -> Held:
    """UnknownRelease, or NotGivenError: not promoted, or revoked."""
    row = store.release(session, sequence)
    if row.state != PROMOTED:
        raise NotGivenError(f"release {sequence} is {row.state}: kapok release promote {sequence}")
    return Held(release.decode(row.manifest), row.digest, row.envelope, row.image)


def component(session: Session, sequence: int, kind: int) -> bytes:
    """The bytes that are installed in the end."""
    return store.component(session, sequence, kind)


def base_of(session: Session, image: int) -> bytes | None:
    """The first BASE bytes of the digest of an image that a release has, by the first four of
    them: what a delta starts from. None for an image that no release has.
    """
    found = store.find_by_image(session, image.to_bytes(4, "big"))
    return None if found is None else image_of(session, found)


def delta(session: Session, base: bytes, sequence: int) -> bytes | None:
    """The proved patch from an image to a release's application, None while there is none."""
    return deltas.ready(session, base, sequence)


def image_of(session: Session, sequence: int) -> bytes | None:
    """The first BASE bytes of the digest of a release's application, whatever its state."""
    return session.scalar(select(Release.image).where(Release.sequence == sequence))
