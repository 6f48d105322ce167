"""What became of messages, and how their channel stands: in one transaction."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from fleet.alarms import acts, operations, outbox
from fleet.alarms.backoff import GIVE_UP_US, pause_us
from fleet.alarms.delivery import DeliveryError
from fleet.alarms.tables import Alarm, Channel, OutMessage

KIND = "channel"
ALARM_AFTER_US = 10 * 60 * 1_000_000  # a channel that fails for so long is worth an alarm
_SHORT_US = 5 * 1_000_000  # between messages that are refused one by one


class Sent(NamedTuple):
    """A message that was sent, or not."""

    message_id: int
    alarm_id: int
    event: str


def mark_sent(session: Session, name: str, sent: Sequence[Sent], now: int) -> None:
    """The other side has taken them; the channel is well."""
    session.execute(
        update(OutMessage)
        .where(OutMessage.id.in_([each.message_id for each in sent]))
        .values(state=outbox.SENT, done_us=now, attempts=OutMessage.attempts + 1, error="")
    )
    escalated = [each.alarm_id for each in sent if each.event == outbox.ESCALATED]
    if escalated:
        session.execute(
            update(Alarm).where(Alarm.id.in_(escalated)).values(escalated=Alarm.escalated + 1)
        )
        acts.note(session, escalated, "escalated", text=name)
    channel = session.get(Channel, name)
    if channel is not None and channel.failures:
        channel.failures, channel.failing_us, channel.retry_us = 0, None, 0
        operations.clear(session, KIND, name)


def mark_failed(
    session: Session, name: str, sent: Sequence[Sent], error: DeliveryError, now: int
) -> bool:
    """They were not taken: when to try again; whether others of the channel may go on at once."""
    for each in sent:
        row = session.get(OutMessage, each.message_id)
        if row is None:
            continue
        row.attempts, row.error = row.attempts + 1, str(error)
        if row.state == outbox.QUEUED and now - row.first_us > GIVE_UP_US:
            row.state, row.done_us = outbox.GIVEN_UP, now
        elif error.is_lasting:
            # It may be this message alone: it lets the others pass, and comes again later.
            row.due_us = now + pause_us(row.attempts + 2)
    channel = session.get(Channel, name)
    if channel is None:
        return False
    channel.failures += 1
    channel.failing_us = channel.failing_us or now
    channel.retry_us = now + (_SHORT_US if error.is_lasting else pause_us(channel.failures))
    session.flush()
    if now - channel.failing_us >= ALARM_AFTER_US:
        waiting = session.scalar(
            select(func.count()).where(
                OutMessage.channel == name, OutMessage.state == outbox.QUEUED
            )
        )
        detail: dict[str, str | int] = {
            "channel": name, "since": channel.failing_us, "reason": str(error),
            "waiting": waiting or 0,
        }  # fmt: skip
        operations.raise_alarm(session, KIND, name, detail)
    return False
