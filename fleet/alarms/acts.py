"""Who did what about an alarm: rows that are only ever added."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from fleet.alarms.errors import AlarmError
from fleet.alarms.tables import AlarmAct
from fleet.registry.operations import now_us

FLEET = "fleet"  # who does what happens by itself
TEXT = 1000  # characters
_MOST = 1000  # acts of one alarm that are shown


class Act(NamedTuple):
    """`act`: raised, acknowledged, assigned, comment, silenced, shown, escalated or cleared."""

    time_us: int
    person: str
    act: str
    text: str


def check_person(person: str) -> str:
    """`person` if it is a name of 1 to 64 printable characters."""
    if not 0 < len(person) <= 64 or not person.isprintable():
        raise AlarmError("a person's name takes 1 to 64 printable characters")
    return person


def check_text(text: str) -> str:
    """`text` if it is a comment: up to 1,000 characters, lines allowed."""
    if not 0 < len(text) <= TEXT or not text.replace("\n", " ").isprintable():
        raise AlarmError(f"a comment takes 1 to {TEXT} printable characters")
    return text


def note(
    session: Session, alarm_ids: Iterable[int], act: str, person: str = FLEET, text: str = ""
) -> None:
    """One act for each of these alarms."""
    now = now_us()
    rows = [
        {"alarm_id": each, "time_us": now, "person": person, "act": act, "text": text}
        for each in alarm_ids
    ]
    if rows:
        session.execute(insert(AlarmAct), rows)


def of(session: Session, alarm_id: int) -> list[Act]:
    """The acts of an alarm, oldest first."""
    rows = session.scalars(
        select(AlarmAct).where(AlarmAct.alarm_id == alarm_id).order_by(AlarmAct.id).limit(_MOST)
    )
    return [Act(row.time_us, row.person, row.act, row.text) for row in rows]
