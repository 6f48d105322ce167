"""Whose signatures the fleet and its nodes trust: the first by a person, each later one by the
root keys of the one before.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.releases.errors import SigningKeyError
from fleet.releases.tables import ReleaseTrust
from fleet.wire import trust
from fleet.wire.trust import Trust
from fleet.wire.uplink import ReportError

NVS_KEY = "trust"  # where a node has it


def make(sequence: int, threshold: int, roots: Sequence[bytes], keys: Sequence[bytes]) -> bytes:
    """The bytes of a trust: moduli of root keys and of release keys. SigningKeyError."""
    import hashlib

    if set(roots) & set(keys):
        raise SigningKeyError("a root key is no release key as well")
    made = trust.encode(
        Trust(
            sequence,
            threshold,
            sorted(hashlib.sha256(modulus).digest() for modulus in roots),
            sorted(keys),
        )
    )
    return trust.encode(parse(made))


def parse(content: bytes) -> Trust:
    """The trust in these bytes; SigningKeyError."""
    try:
        return trust.decode(content)
    except ReportError as e:
        raise SigningKeyError(f"no trust: {e}") from None


def newest(session: Session) -> bytes | None:
    """What nodes get at their provisioning; None where the fleet has none."""
    return session.scalar(
        select(ReleaseTrust.content).order_by(ReleaseTrust.sequence.desc()).limit(1)
    )


def in_force(session: Session) -> Trust:
    """By which releases are verified; SigningKeyError where the fleet has none."""
    content = newest(session)
    if content is None:
        raise SigningKeyError("no keys are trusted here yet: kapok release keys install")
    return parse(content)


def install(session: Session, content: bytes, person: str, now_us: int) -> Trust:
    """The fleet's first trust, or that which it has; a later one comes by a release that the root
    keys sign. SigningKeyError.
    """
    found = parse(content)
    held = newest(session)
    if held is None:
        add(session, content, person, now_us)
    elif held != content:
        raise SigningKeyError(
            "keys are trusted here already: kapok release build --trust, signed by the root keys"
        )
    return found


def add(session: Session, content: bytes, person: str, now_us: int) -> None:
    """What a release changes it to; SigningKeyError unless it is newer than what there is."""
    found, held = parse(content), newest(session)
    if held is not None and found.sequence <= parse(held).sequence:
        raise SigningKeyError(
            f"its keys have sequence {found.sequence}: above {parse(held).sequence} is wanted"
        )
    session.add(
        ReleaseTrust(sequence=found.sequence, content=content, added_us=now_us, person=person)
    )
    session.flush()
