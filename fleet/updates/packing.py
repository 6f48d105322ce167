"""Components as they are sent, packed once for ever."""

from hashlib import sha256

from sqlalchemy.orm import Session

from fleet.updates.parts import deflated
from fleet.updates.tables import Packed


def packed(session: Session, data: bytes) -> bytes:
    """A component deflated, as it was the first time; nothing is written."""
    row = session.get(Packed, sha256(data).digest())
    return deflated(data) if row is None else bytes(row.data)


def pack(session: Session, data: bytes) -> bytes:
    """The same, and kept from now on: for whoever assigns it."""
    digest = sha256(data).digest()
    row = session.get(Packed, digest)
    if row is None:
        row = Packed(digest=digest, data=deflated(data))
        session.add(row)
        session.flush()
    return bytes(row.data)
