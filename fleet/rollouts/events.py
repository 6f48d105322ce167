"""A rollout's history: what persons did to it, and what it did by itself."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.rollouts.tables import RolloutEvent

PAGE = 1000


class Event(NamedTuple):
    """`person` empty: the fleet itself."""

    at_us: int
    person: str
    kind: str
    detail: Mapping[str, str | int]


def note(
    session: Session, rollout_id: int, now_us: int, kind: str, person: str = "",
    detail: Mapping[str, str | int] | None = None,
) -> None:  # fmt: skip
    """Keep one."""
    session.add(
        RolloutEvent(
            rollout_id=rollout_id, at_us=now_us, person=person, kind=kind,
            detail=json.dumps(detail or {}),
        )
    )  # fmt: skip


def of(session: Session, rollout_id: int, limit: int = PAGE) -> list[Event]:
    """The newest first."""
    rows = session.scalars(
        select(RolloutEvent)
        .where(RolloutEvent.rollout_id == rollout_id)
        .order_by(RolloutEvent.id.desc())
        .limit(min(limit, PAGE))
    )
    return [Event(row.at_us, row.person, row.kind, json.loads(row.detail)) for row in rows]
