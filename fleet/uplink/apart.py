"""Steps beside the readings: a fault in one of them must not cost a node its receipt."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from fleet.alarms import operations as alarms
from fleet.db.base import is_trouble

log = structlog.get_logger("uplink")
Part = TypeVar("Part")


def apart(
    session: Session,
    what: str,
    parts: Sequence[Part],
    do: Callable[[Session, Sequence[Part]], object],
) -> None:
    """`do` with all parts; where that fails, with each by itself, so that one spoils no other.

    What failed is undone and leaves an alarm. The database's own trouble is raised: the whole
    batch is tried again.
    """
    if not parts or (not _failed(session, what, parts, do) or len(parts) == 1):
        return
    for part in parts:
        _failed(session, what, [part], do)


def _failed(
    session: Session,
    what: str,
    parts: Sequence[Part],
    do: Callable[[Session, Sequence[Part]], object],
) -> bool:
    try:
        with session.begin_nested():
            do(session, parts)
    except Exception as e:
        if is_trouble(e):
            raise
        reason = repr(e)[:300]
        log.error("a step of the ingest failed", step=what, parts=len(parts), reason=reason)
        if len(parts) == 1:
            alarms.raise_alarm(session, "ingest", what, {"step": what, "reason": reason})
        return True
    return False
