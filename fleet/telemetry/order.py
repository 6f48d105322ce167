"""Ids of readings as an order to read by. PostgreSQL draws them before the commit, so that a
higher one may be seen first: who reads behind a cursor waits for those that are being written.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

_LOCK = 0x6B61_706F_6B01  # of advisory locks in this database
_WRITING = text("SELECT pg_advisory_xact_lock_shared(:lock)")
_SETTLED = text("SELECT pg_advisory_xact_lock(:lock)")


def writing(session: Session) -> None:
    """Before ids are drawn: held until the transaction ends. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_WRITING, {"lock": _LOCK})


def settled(session: Session) -> None:
    """Return when each id drawn so far is committed or gone; writers wait for the caller's end."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_SETTLED, {"lock": _LOCK})
