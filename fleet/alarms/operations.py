"""Raise, acknowledge, assign, comment and clear alarms, in the caller's transaction.

What is to be told is queued in the same transaction (`fleet.alarms.outbox`).
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleet.alarms import acts, outbox, silence
from fleet.alarms.acts import FLEET
from fleet.alarms.errors import AlarmError
from fleet.alarms.kinds import CRITICAL, KINDS, SEVERITIES, WARNING
from fleet.alarms.listing import PAGE, Filter, Listed, list_, open_counts, show
from fleet.alarms.tables import Alarm
from fleet.registry import whereabouts
from fleet.registry.operations import now_us

__all__ = (
    "CRITICAL",
    "FLEET",
    "KINDS",
    "PAGE",
    "WARNING",
    "About",
    "AlarmError",
    "Filter",
    "Listed",
    "acknowledge",
    "assign",
    "clear",
    "clear_by_id",
    "comment",
    "list_",
    "open_counts",
    "raise_alarm",
    "show",
)
_DETAIL = 4000  # characters


class About(NamedTuple):
    """Whom an alarm is about, as far as known. `severity`: of a kind that a pack of rules has.

    `began_us`: by the record that tells so. `grace_us`: how long it waits to be told, in which an
    alarm of its street may come to stand for it.
    """

    severity: str = ""
    node_id: str | None = None
    asset_id: int | None = None
    area: str | None = None
    began_us: int | None = None
    grace_us: int = 0


_UNKNOWN = About()


def raise_alarm(
    session: Session,
    kind: str,
    subject: str,
    detail: Mapping[str, str | int] | None = None,
    about: About = _UNKNOWN,
) -> bool:
    """Open an alarm, or count once more the one of this kind and subject that is open.

    True when it is new. AlarmError for a kind that has no text. The newest detail stands.
    """
    key = _key(kind, subject, about.severity)
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
    alarm = _new(session, kind, subject, about)
    alarm.open_key, alarm.detail = key, text
    alarm.count, alarm.first_us, alarm.last_us = 1, now, now
    try:
        with session.begin_nested():
            session.add(alarm)
    except IntegrityError:  # another transaction has opened it meanwhile
        session.scalar(again)
        return False
    _announce(session, alarm, about.grace_us)
    return True


def clear(
    session: Session, kind: str, subject: str, person: str = FLEET, ended_us: int | None = None
) -> bool:
    """End the open alarm of this kind and subject; False when none is open.

    `ended_us`: by the record that tells so.
    """
    return _end(session, Alarm.open_key == f"{kind}/{subject}", person, ended_us)


def clear_by_id(session: Session, identifier: int, person: str) -> None:
    """End an alarm; AlarmError when there is no such open one. An alarm of its street that stood
    for it may end with it.
    """
    from fleet.alarms import packs, together  # they raise and clear by this module

    alarm = session.get(Alarm, identifier)
    if not _end(session, (Alarm.id == identifier) & Alarm.open_key.is_not(None), person, None):
        raise AlarmError(_not_open(identifier))
    rules = packs.in_force(session)
    if alarm is not None and alarm.area_code and alarm.kind in rules.joined:
        together.weigh(session, rules, [alarm.area_code])


def acknowledge(session: Session, identifier: int, person: str) -> None:
    """A person takes note of an open alarm; the first one counts. AlarmError as above."""
    acts.check_person(person)
    alarm = _opened(session, identifier)
    if alarm.acknowledged_us is None:
        alarm.acknowledged_us, alarm.acknowledged_by = now_us(), person
        session.flush()
        acts.note(session, [identifier], "acknowledged", person)
        outbox.noticed(session, alarm, outbox.ACKNOWLEDGED)


def assign(session: Session, identifier: int, to: str, person: str) -> None:
    """`to` is to see to an open alarm; who gives it has taken note. AlarmError as above."""
    acts.check_person(to)
    acknowledge(session, identifier, person)
    alarm = _opened(session, identifier)
    if alarm.assigned_to != to:
        alarm.assigned_us, alarm.assigned_to = now_us(), to
        session.flush()
        acts.note(session, [identifier], "assigned", person, to)
        outbox.noticed(session, alarm, outbox.ASSIGNED)


def comment(session: Session, identifier: int, text: str, person: str) -> None:
    """Add what somebody has to say, also to an alarm that is over; AlarmError."""
    show(session, identifier)
    acts.note(session, [identifier], "comment", acts.check_person(person), acts.check_text(text))


def _new(session: Session, kind: str, subject: str, about: About) -> Alarm:
    known = KINDS.get(kind)
    node_id, area = about.node_id, about.area
    if known is not None and known.about == "node" and node_id is None:
        node_id = subject if len(subject) <= 10 else None
    if node_id is not None and area is None:
        area = whereabouts.area_of_node(session, node_id)
    return Alarm(
        kind=kind, subject=subject, severity=about.severity or KINDS[kind].severity,
        node_id=node_id, asset_id=about.asset_id, area_code=area, began_us=about.began_us,
        escalated=0,
    )  # fmt: skip


def _announce(session: Session, alarm: Alarm, grace_us: int) -> None:
    covering = silence.covering(session, alarm)
    if covering is None:
        outbox.raised(session, alarm, grace_us)
        return
    alarm.maintenance_id = covering
    session.flush()
    acts.note(session, [alarm.id], "silenced", text=f"maintenance {covering}")


def _key(kind: str, subject: str, severity: str) -> str:
    if kind not in KINDS and severity not in SEVERITIES:
        raise AlarmError(f"no such kind of alarm: {kind[:40]!r}; one of {', '.join(KINDS)}")
    if not 0 < len(subject) <= 64 or not subject.isprintable():
        raise AlarmError(f"alarm {kind}: the subject takes 1 to 64 printable characters")
    return f"{kind}/{subject}"


def _opened(session: Session, identifier: int) -> Alarm:
    found = session.scalar(
        select(Alarm).where(Alarm.id == identifier, Alarm.open_key.is_not(None)).with_for_update()
    )
    if found is None:
        raise AlarmError(_not_open(identifier))
    return found


def _not_open(identifier: int) -> str:
    return f"alarm {identifier} is not open: kapok alarm list"


def _end(session: Session, which: object, person: str, ended_us: int | None) -> bool:
    values = {
        "open_key": None, "cleared_us": now_us(), "cleared_by": acts.check_person(person),
        "ended_us": func.coalesce(ended_us, Alarm.ended_us),
    }  # fmt: skip
    ended = update(Alarm).where(which).values(values).returning(Alarm)  # type: ignore[arg-type]
    alarm = session.scalar(ended)
    if alarm is None:
        return False
    if person != FLEET:
        acts.note(session, [alarm.id], "cleared", person)
    outbox.ended(session, alarm)
    silence.orphan(session, alarm.id)
    return True
