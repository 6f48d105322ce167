"""A signed bundle becomes a release of the fleet: checked, verified, kept; in one transaction."""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.releases import content, deltas, store, target, trusting, verify
from fleet.releases.bundle import Bundle
from fleet.releases.errors import ReleaseError
from fleet.releases.tables import PROMOTED, RELEASED, Artifact, Release
from fleet.wire import release


def add(session: Session, bundle: Bundle, person: str, now_us: int) -> Release:
    """Keep the bundle as a release that is not promoted yet; the same again changes nothing, with
    other signatures it has those from then on.

    BundleError for what does not go together, SignatureError where those do not suffice that the
    fleet's nodes trust, ReleaseError for a sequence that another release has, and for signatures
    that come when it was promoted already.
    """
    says = content.check(bundle)
    verify.check(bundle.manifest, bundle.signatures, trusting.in_force(session))
    held = session.get(Release, says.sequence)
    if held is not None:
        if held.digest != bundle.digest:
            raise ReleaseError(
                f"release {says.sequence} is another one already: build it with the next sequence"
            )
        if held.envelope != bundle.envelope:
            if held.state != RELEASED:
                raise ReleaseError(
                    f"release {says.sequence} is {held.state} with other signatures, which stay:"
                    " build it with the next sequence"
                )
            held.envelope, held.person = bundle.envelope, person
        return held
    verify.in_time(says, now_us)
    _above_what_there_is(session, says)
    for data in bundle.components.values():
        digest = hashlib.sha256(data).digest()
        if session.get(Artifact, digest) is None:
            session.add(Artifact(digest=digest, data=data))
    application = bundle.components.get(release.APPLICATION)
    made = Release(
        sequence=says.sequence, role=says.role, board=says.board, state=RELEASED,
        manifest=bundle.manifest, envelope=bundle.envelope, digest=bundle.digest,
        image=None if application is None else target.image_digest(application)[:8],
        sbom=bundle.sbom, added_us=now_us, promoted_us=None, revoked_us=None, person=person,
        reason="",
    )  # fmt: skip
    session.add(made)
    session.flush()
    deltas.want(session, says.sequence, now_us)
    return made


def _above_what_there_is(session: Session, says: release.Manifest) -> None:
    """Nodes install nothing older than what they run: a lower sequence would be for nobody."""
    newest = session.scalar(
        select(Release.sequence)
        .where(
            Release.role == says.role,
            Release.board == says.board,
            Release.sequence > says.sequence,
            Release.promoted_us.is_not(None),
        )
        .limit(1)
    )
    if newest is not None:
        raise ReleaseError(
            f"nodes of its role and board may run release {newest}: {says.sequence} is older"
        )


def promote(session: Session, sequence: int, person: str, now_us: int) -> Release:
    """From now on it may be offered, deltas from it are made, and keys that it brings are in force
    here as well. ReleaseError where it may not, or where the keys that signed it do not count any
    more.
    """
    found = store.release(session, sequence)
    if found.state == PROMOTED:
        return found
    bundle = bundle_of(session, sequence)
    verify.check(bundle.manifest, bundle.signatures, trusting.in_force(session))
    if found.state == RELEASED:
        verify.in_time(bundle.says, now_us)
        _above_what_there_is(session, bundle.says)
    store.promote(session, sequence, person, now_us)
    deltas.want_behind(session, sequence, now_us)
    keys = bundle.components.get(release.KEYS)
    if keys is not None:
        trusting.add(session, keys, person, now_us)
    return found


def bundle_of(session: Session, sequence: int) -> Bundle:
    """The bundle that a release came in."""
    found = store.release(session, sequence)
    manifest, signatures = release.unseal(found.envelope)
    components = {
        each.kind: store.component(session, sequence, each.kind)
        for each in release.decode(manifest).components
    }
    return Bundle(manifest, tuple(signatures), components, found.sbom)
