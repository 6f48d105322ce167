"""What is said of an alarm by a channel, read at the time of sending."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet import texts
from fleet.alarms import packs
from fleet.alarms.errors import ChannelError
from fleet.alarms.listing import Listed, listed
from fleet.alarms.tables import Alarm, Channel, OutMessage
from fleet.alarms.wording import text_of
from fleet.registry.operations import now_us


class Told(NamedTuple):
    """A message of the outbox with all that its sender needs. `texts`: the alarm's by language."""

    message_id: int
    created_us: int
    event: str
    channel: str
    kind: str
    target: str
    secret: bytes | None
    lang: str
    alarm: Listed
    texts: dict[str, str]

    @property
    def delivery(self) -> str:
        """The number of the delivery, the same whenever it is repeated."""
        return f"{self.message_id}-{self.created_us}"

    @property
    def what(self) -> str:
        """What happened, in the channel's language."""
        names = {"by": self.alarm.acknowledged_by or "", "to": self.alarm.assigned_to or ""}
        return texts.say(f"told.{self.event}", self.lang, names)


def told(session: Session, channel: Channel, rows: Sequence[OutMessage]) -> list[Told]:
    """The messages of some rows of one channel, in their order."""
    found = session.scalars(select(Alarm).where(Alarm.id.in_([row.alarm_id for row in rows])))
    alarms = {row.id: listed(row) for row in found}
    rules = packs.in_force(session).by_kind
    return [
        Told(
            row.id, row.created_us, row.event, channel.name, channel.kind, channel.target,
            channel.secret, channel.lang, alarms[row.alarm_id],
            {
                lang: text_of(alarms[row.alarm_id], lang, rules.get(alarms[row.alarm_id].kind))
                for lang in texts.LANGUAGES
            },
        )
        for row in rows
    ]  # fmt: skip


def document(each: Told) -> dict[str, Any]:
    """The body of a webhook."""
    return {
        "delivery": each.delivery,
        "event": each.event,
        "channel": each.channel,
        "alarm": {**each.alarm._asdict(), "text": each.texts},
    }


def trial(session: Session, name: str) -> Told:
    """A message that only shows that a channel works; ChannelError when there is none."""
    channel = session.get(Channel, name)
    if channel is None:
        raise ChannelError(f"there is no channel {name[:40]!r}: kapok alarm channel list")
    now = now_us()
    alarm = Alarm(
        id=0, kind="test", subject=name, severity="notice", detail="{}", count=1, first_us=now,
        last_us=now, escalated=0,
    )  # fmt: skip
    said = {lang: texts.say("list.test", lang, {"channel": name}) for lang in texts.LANGUAGES}
    return Told(
        0, now, "raised", name, channel.kind, channel.target, channel.secret, channel.lang,
        listed(alarm), said,
    )  # fmt: skip
