"""Alarms as lists and pages show them."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.alarms.errors import AlarmError
from fleet.alarms.kinds import KINDS, at_least
from fleet.alarms.tables import Alarm

PAGE = 1000  # rows of any list at most
OPEN, ACKNOWLEDGED, CLEARED = "open", "acknowledged", "cleared"


class Listed(NamedTuple):
    """An alarm as lists show it; times in us since 1970 UTC. `state`: open, acknowledged, cleared.

    `times`: how often it was raised while open. `began_us` and `ended_us`: by the records that
    told so. `silenced_by`: empty, or `alarm 7` or `maintenance 3`.
    """

    id: int
    kind: str
    severity: str
    subject: str
    state: str
    detail: Mapping[str, str | int]
    times: int
    first_us: int
    last_us: int
    began_us: int | None
    ended_us: int | None
    node: str | None
    asset_id: int | None
    area: str | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    assigned_us: int | None
    assigned_to: str | None
    escalated: int
    cleared_us: int | None
    cleared_by: str | None
    silenced_by: str


class Filter(NamedTuple):
    """What to list. Only open alarms, unless `history`; no silenced ones, unless `silenced`.

    Empty and None select all; `severity` takes all above it too, `area` all areas within.
    """

    history: bool = False
    silenced: bool = False
    subject: str = ""
    node_id: str = ""
    asset_id: int | None = None
    area: str = ""
    severity: str = ""
    assigned_to: str = ""


OPEN_ONES = Filter()


def list_(
    session: Session, wanted: Filter = OPEN_ONES, after: int = 0, limit: int = PAGE
) -> list[Listed]:
    """Alarms by id, those behind `after`, PAGE at most."""
    query = select(Alarm).where(Alarm.id > after)
    if not wanted.history:
        query = query.where(Alarm.open_key.is_not(None))
    if not wanted.silenced:
        query = query.where(Alarm.parent_id.is_(None), Alarm.maintenance_id.is_(None))
    for column, value in (
        (Alarm.subject, wanted.subject or None),
        (Alarm.node_id, wanted.node_id or None),
        (Alarm.asset_id, wanted.asset_id),
        (Alarm.assigned_to, wanted.assigned_to or None),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.area:
        query = query.where(Alarm.area_code.startswith(wanted.area, autoescape=True))
    if wanted.severity:
        query = query.where(Alarm.severity.in_(at_least(wanted.severity)))
    return [listed(row) for row in session.scalars(query.order_by(Alarm.id).limit(limit))]


def show(session: Session, identifier: int) -> Listed:
    """One alarm, open or not; AlarmError when there is none."""
    row = session.get(Alarm, identifier)
    if row is None:
        raise AlarmError(f"there is no alarm {identifier}: kapok alarm list --all")
    return listed(row)


def children(session: Session, identifier: int, limit: int = PAGE) -> list[Listed]:
    """The open alarms for which this one stands."""
    query = select(Alarm).where(Alarm.parent_id == identifier, Alarm.open_key.is_not(None))
    return [listed(row) for row in session.scalars(query.order_by(Alarm.id).limit(limit))]


def open_counts(session: Session) -> dict[str, int]:
    """How many alarms are open, silenced ones too, by kind; 0 for a kind that has none."""
    rows = session.execute(
        select(Alarm.kind, func.count()).where(Alarm.open_key.is_not(None)).group_by(Alarm.kind)
    )
    return {**dict.fromkeys(KINDS, 0), **{row[0]: row[1] for row in rows}}


def listed(row: Alarm) -> Listed:
    """A row as lists show it."""
    state = OPEN
    if row.cleared_us is not None:
        state = CLEARED
    elif row.acknowledged_us is not None:
        state = ACKNOWLEDGED
    silenced = ""
    if row.parent_id is not None:
        silenced = f"alarm {row.parent_id}"
    elif row.maintenance_id is not None:
        silenced = f"maintenance {row.maintenance_id}"
    detail: Any = json.loads(row.detail)
    return Listed(
        row.id, row.kind, row.severity, row.subject, state, detail, row.count, row.first_us,
        row.last_us, row.began_us, row.ended_us, row.node_id, row.asset_id, row.area_code,
        row.acknowledged_us, row.acknowledged_by, row.assigned_us, row.assigned_to, row.escalated,
        row.cleared_us, row.cleared_by, silenced,
    )  # fmt: skip
