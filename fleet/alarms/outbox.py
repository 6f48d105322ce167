"""What is to be told, queued in the transaction of the alarm itself: nothing is told that did not
happen, and nothing that happened is forgotten, whoever is killed when.

An escalation is a message that is due later and withdrawn when somebody takes note before.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, CursorResult, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from fleet.alarms.kinds import SEVERITIES
from fleet.alarms.tables import Alarm, Channel, OutMessage
from fleet.registry.operations import now_us

QUEUED, SENT, WITHDRAWN, GIVEN_UP = "queued", "sent", "withdrawn", "given-up"
RAISED, ESCALATED, CLEARED = "raised", "escalated", "cleared"
ACKNOWLEDGED, ASSIGNED = "acknowledged", "assigned"
KEEP_US = 30 * 86400 * 1_000_000
PURGE = 1000  # rows at once
_CACHE = "alarm channels"  # of a session, which is one transaction


class _Channel(NamedTuple):
    name: str
    kind: str
    rank: int
    area: str
    after_us: int
    until: str


def channels(session: Session) -> list[_Channel]:
    """All of them, read once in a transaction."""
    known = session.info.get(_CACHE)
    if known is None:
        rows = session.scalars(select(Channel).order_by(Channel.name))
        known = session.info[_CACHE] = [
            _Channel(
                row.name, row.kind, SEVERITIES.index(row.severity), row.area_code,
                row.after_s * 1_000_000, row.until,
            )
            for row in rows
        ]  # fmt: skip
    found: list[_Channel] = known
    return found


def forget_channels(session: Session) -> None:
    """After one was added or taken away in this transaction."""
    session.info.pop(_CACHE, None)


def raised(session: Session, alarm: Alarm, grace_us: int = 0) -> None:
    """Tell every channel that wants it; not before `grace_us`, in which it may be silenced."""
    now = now_us()
    rank = SEVERITIES.index(alarm.severity)
    is_known = alarm.acknowledged_us is not None  # silenced meanwhile, and shown again
    rows = [
        _row(
            channel.name, alarm.id, ESCALATED if channel.after_us else RAISED, now,
            now + max(channel.after_us, grace_us),
        )
        for channel in channels(session)
        if rank >= channel.rank
        and not (is_known and channel.after_us and channel.until == ACKNOWLEDGED)
        and (alarm.area_code or "").startswith(channel.area)
        and (alarm.kind, alarm.subject) != ("channel", channel.name)  # it would tell of itself
    ]  # fmt: skip
    if rows:
        session.execute(insert(OutMessage), rows)


def ended(session: Session, alarm: Alarm) -> None:
    """Tell those who were told that it began; to the others it never did."""
    now = now_us()
    told = dict.fromkeys(_beginnings(session, alarm.id, now))
    _withdraw(session, [alarm.id], OutMessage.due_us > now)
    if told:
        session.execute(
            insert(OutMessage), [_row(name, alarm.id, CLEARED, now, now) for name in told]
        )


def noticed(session: Session, alarm: Alarm, event: str) -> None:
    """Somebody has taken note: what escalates until then does not; webhooks are told so."""
    now = now_us()
    stops = [channel.name for channel in channels(session) if channel.until == ACKNOWLEDGED]
    _withdraw(
        session, [alarm.id], OutMessage.event == ESCALATED, OutMessage.due_us > now,
        OutMessage.channel.in_(stops),
    )  # fmt: skip
    hooks = {channel.name for channel in channels(session) if channel.kind == "webhook"}
    rows = [
        _row(name, alarm.id, event, now, now)
        for name in dict.fromkeys(_beginnings(session, alarm.id, now))
        if name in hooks
    ]
    if rows:
        session.execute(insert(OutMessage), rows)


def silenced(session: Session, alarm_ids: Iterable[int]) -> None:
    """What is not told yet of these alarms is not told."""
    _withdraw(session, alarm_ids)


def counts(session: Session) -> dict[str, int]:
    """How many messages wait and how many were given up."""
    rows = session.execute(
        select(OutMessage.state, func.count())
        .where(OutMessage.state.in_((QUEUED, GIVEN_UP)))
        .group_by(OutMessage.state)
    )
    return {QUEUED: 0, GIVEN_UP: 0, **{row[0]: row[1] for row in rows}}


def waits(session: Session, now: int) -> bool:
    """Whether something is to be forgotten."""
    return session.scalar(_old(now).limit(1)) is not None


def purge(session: Session, now: int) -> int:
    """Forget what was done with 30 days ago, some of it at a time."""
    old = delete(OutMessage).where(OutMessage.id.in_(_old(now).limit(PURGE)))
    result = session.execute(old)
    assert isinstance(result, CursorResult)  # noqa: S101
    return result.rowcount


def _old(now: int) -> Select[int]:
    return select(OutMessage.id).where(
        OutMessage.state.in_((SENT, WITHDRAWN, GIVEN_UP)), OutMessage.done_us < now - KEEP_US
    )


def _row(channel: str, alarm_id: int, event: str, now: int, due: int) -> dict[str, object]:
    return {
        "channel": channel, "alarm_id": alarm_id, "event": event, "state": QUEUED,
        "created_us": now, "due_us": due, "first_us": due, "attempts": 0, "error": "",
    }  # fmt: skip


def _beginnings(session: Session, alarm_id: int, now: int) -> list[str]:
    """The channels that were told of an alarm, or are about to be."""
    return list(
        session.scalars(
            select(OutMessage.channel)
            .where(
                OutMessage.alarm_id == alarm_id,
                OutMessage.event.in_((RAISED, ESCALATED)),
                (OutMessage.state == SENT)
                | ((OutMessage.state == QUEUED) & (OutMessage.due_us <= now)),
            )
            .order_by(OutMessage.id)
        )
    )


def _withdraw(session: Session, alarm_ids: Iterable[int], *which: ColumnElement[bool]) -> None:
    session.execute(
        update(OutMessage)
        .where(
            OutMessage.alarm_id.in_(list(alarm_ids)), OutMessage.state == QUEUED,
            OutMessage.event.in_((RAISED, ESCALATED)), *which,
        )
        .values(state=WITHDRAWN, done_us=now_us())
    )  # fmt: skip
