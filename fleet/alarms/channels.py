"""Where alarms are told: add, list and take away, in the caller's transaction."""

import re
import secrets
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from fleet.alarms import acts, outbox
from fleet.alarms.errors import ChannelError
from fleet.alarms.kinds import SEVERITIES
from fleet.alarms.tables import Channel, OutMessage
from fleet.alarms.webhook import check_url
from fleet.identity.wrapping import Wrapper
from fleet.registry.operations import now_us
from fleet.settings import is_address
from fleet.texts import LANGUAGES

WEBHOOK, MAIL = "webhook", "mail"
UNTIL = (outbox.ACKNOWLEDGED, outbox.CLEARED)
LONGEST_S = 7 * 86400
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SECRET_BYTES = 32


class New(NamedTuple):
    """A channel to be added. `after_s` over 0: what is still open, or not acknowledged, then."""

    name: str
    kind: str
    target: str
    severity: str = "warning"
    area: str = ""
    after_s: int = 0
    until: str = outbox.ACKNOWLEDGED
    lang: str = "zh"


class Listed(NamedTuple):
    """A channel as lists show it; `waiting` and `given_up` count its messages."""

    name: str
    kind: str
    target: str
    severity: str
    area: str
    after_s: int
    until: str
    lang: str
    failures: int
    failing_us: int | None
    waiting: int
    given_up: int


def add(session: Session, wrapper: Wrapper, new: New, person: str) -> str:
    """Add a channel; the secret of a webhook, in hexadecimal digits, which nobody can see again.

    ChannelError for what it cannot be.
    """
    _check(new)
    if session.get(Channel, new.name) is not None:
        raise ChannelError(f"there is a channel {new.name}: kapok alarm channel remove {new.name}")
    secret = secrets.token_bytes(_SECRET_BYTES) if new.kind == WEBHOOK else b""
    session.add(
        Channel(
            name=new.name, kind=new.kind, target=new.target, severity=new.severity,
            area_code=new.area, after_s=new.after_s, until=new.until, lang=new.lang,
            secret=wrapper.wrap(secret, context(new.name)) if secret else None,
            failures=0, retry_us=0, added_us=now_us(), added_by=acts.check_person(person),
        )
    )  # fmt: skip
    session.flush()
    outbox.forget_channels(session)
    return secret.hex()


def remove(session: Session, name: str) -> None:
    """Take a channel away; what waits for it is told to nobody. ChannelError."""
    if session.get(Channel, name) is None:
        raise ChannelError(f"there is no channel {name[:40]!r}: kapok alarm channel list")
    session.execute(
        update(OutMessage)
        .where(OutMessage.channel == name, OutMessage.state == outbox.QUEUED)
        .values(state=outbox.WITHDRAWN, done_us=now_us())
    )
    session.execute(delete(Channel).where(Channel.name == name))
    outbox.forget_channels(session)


def list_(session: Session) -> list[Listed]:
    """All channels by name."""
    states = (outbox.QUEUED, outbox.GIVEN_UP)
    rows = session.execute(
        select(OutMessage.channel, OutMessage.state, func.count())
        .where(OutMessage.state.in_(states))
        .group_by(OutMessage.channel, OutMessage.state)
    )
    counts = {(channel, state): count for channel, state, count in rows}
    return [
        Listed(
            row.name, row.kind, row.target, row.severity, row.area_code, row.after_s, row.until,
            row.lang, row.failures, row.failing_us,
            *(counts.get((row.name, state), 0) for state in states),
        )
        for row in session.scalars(select(Channel).order_by(Channel.name))
    ]  # fmt: skip


def context(name: str) -> bytes:
    """What a channel's secret is bound to."""
    return b"alarm channel " + name.encode()


def _check(new: New) -> None:
    if not _NAME.fullmatch(new.name):
        raise ChannelError(f"channel {new.name[:40]!r}: 1 to 32 of a-z, 0-9 and -")
    if new.kind == WEBHOOK:
        check_url(new.target)
    elif new.kind != MAIL or not is_address(new.target):
        raise ChannelError(f"{new.target[:60]!r} is no mail address")
    if new.severity not in SEVERITIES:
        raise ChannelError(f"severity {new.severity[:20]!r}: one of {', '.join(SEVERITIES)}")
    if not re.fullmatch("[0-9]{0,12}", new.area):
        raise ChannelError(f"area {new.area[:20]!r}: the beginning of area codes, or nothing")
    if not 0 <= new.after_s <= LONGEST_S:
        raise ChannelError("a channel waits for 7 days at most")
    if new.until not in UNTIL or new.lang not in LANGUAGES:
        raise ChannelError(f"until: {' or '.join(UNTIL)}; lang: {' or '.join(LANGUAGES)}")
