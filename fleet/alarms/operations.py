"""Raise, acknowledge and clear alarms, in the caller's transaction."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.alarms.tables import Alarm
from fleet.errors import Refusal
from fleet.registry.operations import now_us

CRITICAL, WARNING = "critical", "warning"
# Each kind has a text `alarm.<kind>` in the catalogue, which takes the keys of its detail.
KINDS = {
    "clone": CRITICAL,  # subject: node id
    "crl": CRITICAL,  # subject: crl.pem
    "broker-reload": CRITICAL,  # subject: broker
    "rotation": WARNING,  # subject: node id
}
FLEET = "fleet"  # who clears what ends by itself
PAGE = 1000  # rows of any list at most
_DETAIL = 4000  # characters


class AlarmError(Refusal, ValueError):
    """Refused; the text is one line: what was wrong and what to do."""


class Listed(NamedTuple):
    """An alarm as lists show it; times in us since 1970 UTC. `state`: open, acknowledged, cleared.

    `times`: how often it was raised while open.
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
    acknowledged_us: int | None
    acknowledged_by: str | None
    cleared_us: int | None
    cleared_by: str | None


def raise_alarm(
    session: Session, kind: str, subject: str, detail: Mapping[str, str | int] | None = None
) -> bool:
    """Open an alarm, or count once more the one of this kind and subject that is open.

    True when it is new. AlarmError for a kind that has no text. The newest detail stands.
    """
    key = _key(kind, subject)
    text = json.dumps(dict(detail or {}), ensure_ascii=False)
    if len(text) > _DETAIL:
        raise AlarmError(f"alarm {kind}: a detail of {len(text)} characters; {_DETAIL} at most")
    now = now_us()
    again = (
        update(Alarm)
        .where(Alarm.open_key == key)
        .values(count=Alarm.count + 1, last_us=now, detail=text)
        .returning(Alarm.id)
    )
    if session.scalar(again) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(
                Alarm(
                    kind=kind, subject=subject, open_key=key, detail=text, count=1,
                    first_us=now, last_us=now,
                )
            )  # fmt: skip
    except IntegrityError:  # another transaction has opened it meanwhile
        session.scalar(again)
        return False
    return True


def clear(session: Session, kind: str, subject: str, person: str = FLEET) -> bool:
    """End the open alarm of this kind and subject; False when none is open."""
    return _end(session, Alarm.open_key == _key(kind, subject), person)


def clear_by_id(session: Session, identifier: int, person: str) -> None:
    """End an alarm; AlarmError when there is no such open one."""
    if not _end(session, (Alarm.id == identifier) & Alarm.open_key.is_not(None), person):
        raise AlarmError(f"alarm {identifier} is not open: kapok alarm list")


def acknowledge(session: Session, identifier: int, person: str) -> None:
    """A person takes note of an open alarm; the first one counts. AlarmError as above."""
    found = session.scalar(
        update(Alarm)
        .where(Alarm.id == identifier, Alarm.open_key.is_not(None))
        .values(
            acknowledged_us=func.coalesce(Alarm.acknowledged_us, now_us()),
            acknowledged_by=func.coalesce(Alarm.acknowledged_by, _person(person)),
        )
        .returning(Alarm.id)
    )
    if found is None:
        raise AlarmError(f"alarm {identifier} is not open: kapok alarm list")


def list_(
    session: Session, *, history: bool = False, subject: str = "", after: int = 0,
    limit: int = PAGE,
) -> list[Listed]:  # fmt: skip
    """Alarms by id, those behind `after`; only open ones unless `history`."""
    query = select(Alarm).where(Alarm.id > after)
    if not history:
        query = query.where(Alarm.open_key.is_not(None))
    if subject:
        query = query.where(Alarm.subject == subject)
    rows = session.scalars(query.order_by(Alarm.id).limit(min(limit, PAGE)))
    return [_listed(row) for row in rows]


def open_counts(session: Session) -> dict[str, int]:
    """How many alarms are open, by kind; 0 for a kind that has none."""
    rows = session.execute(
        select(Alarm.kind, func.count()).where(Alarm.open_key.is_not(None)).group_by(Alarm.kind)
    )
    return {**dict.fromkeys(KINDS, 0), **{row[0]: row[1] for row in rows}}


def _key(kind: str, subject: str) -> str:
    if kind not in KINDS:
        raise AlarmError(f"no such kind of alarm: {kind[:40]!r}; one of {', '.join(KINDS)}")
    if not 0 < len(subject) <= 64 or not subject.isprintable():
        raise AlarmError(f"alarm {kind}: the subject takes 1 to 64 printable characters")
    return f"{kind}/{subject}"


def _person(person: str) -> str:
    if not 0 < len(person) <= 64 or not person.isprintable():
        raise AlarmError("a person's name takes 1 to 64 printable characters")
    return person


def _end(session: Session, which: object, person: str) -> bool:
    values = {"open_key": None, "cleared_us": now_us(), "cleared_by": _person(person)}
    ended = update(Alarm).where(which).values(values).returning(Alarm.id)  # type: ignore[arg-type]
    return session.scalar(ended) is not None


def _listed(row: Alarm) -> Listed:
    state = "open"
    if row.cleared_us is not None:
        state = "cleared"
    elif row.acknowledged_us is not None:
        state = "acknowledged"
    return Listed(
        row.id, row.kind, KINDS.get(row.kind, WARNING), row.subject, state,
        json.loads(row.detail), row.count, row.first_us, row.last_us, row.acknowledged_us,
        row.acknowledged_by, row.cleared_us, row.cleared_by,
    )  # fmt: skip
