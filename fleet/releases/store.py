"""The releases that the fleet has: look them up, and change their states; in the caller's
transaction.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.releases.errors import ReleaseError, UnknownRelease
from fleet.releases.tables import PROMOTED, RELEASED, REVOKED, Artifact, Release
from fleet.wire import release as wire

LONGEST_REASON = 500


def release(session: Session, sequence: int) -> Release:
    """The release of this sequence, whatever its state; UnknownRelease."""
    found = session.get(Release, sequence)
    if found is None:
        raise UnknownRelease(f"there is no release {sequence}: kapok release list")
    return found


def releases(session: Session) -> list[Release]:
    """All of them, newest first."""
    query = select(Release).order_by(Release.sequence.desc())
    return list(session.scalars(query))


def component(session: Session, sequence: int, kind: int) -> bytes:
    """The bytes of a component as they are installed, or, of the modem's firmware, as the modem
    fetches them; UnknownRelease where the release has none of that kind.
    """
    manifest = wire.decode(release(session, sequence).manifest)
    for each in manifest.components:
        if each.kind == kind:
            data = session.scalar(select(Artifact.data).where(Artifact.digest == each.digest))
            if data is not None:
                return data
    raise UnknownRelease(f"release {sequence} has no component {kind}")


def find_by_image(session: Session, image: bytes) -> int | None:
    """The release whose application is known by these first bytes, 4 to 8, of its digest as the
    image says it; of several the newest. None: it is none of ours.
    """
    rest = 8 - len(image)
    if not 0 <= rest <= 4:
        raise ValueError(f"4 to 8 bytes of a digest, not {len(image)}")
    return session.scalar(
        select(Release.sequence)
        .where(Release.image >= image + bytes(rest), Release.image <= image + b"\xff" * rest)
        .order_by(Release.sequence.desc())
        .limit(1)
    )


def revoked(session: Session, sequence: int) -> bool:
    """Whether nobody may install it any more; also of a release that there is not."""
    state = session.scalar(select(Release.state).where(Release.sequence == sequence))
    return state is None or state == REVOKED


def promote(session: Session, sequence: int, person: str, now_us: int) -> Release:
    """From now on it may be offered. ReleaseError where it may not."""
    found = release(session, sequence)
    if found.state == REVOKED:
        raise ReleaseError(f"release {sequence} was revoked: build one with a higher sequence")
    if found.state == RELEASED:
        found.state, found.promoted_us, found.person = PROMOTED, now_us, person
    return found


def revoke(session: Session, sequence: int, person: str, reason: str, now_us: int) -> Release:
    """Nobody is offered it any more, and who is fetching it is told that it is gone."""
    if not reason or len(reason) > LONGEST_REASON:
        raise ReleaseError(f"a revocation has a reason, of up to {LONGEST_REASON} characters")
    found = release(session, sequence)
    if found.state != REVOKED:
        found.state, found.revoked_us = REVOKED, now_us
        found.person, found.reason = person, reason
    return found
