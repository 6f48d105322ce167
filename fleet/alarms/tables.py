"""Tables of alarms and of what was done about them. Times are integer microseconds UTC."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base


class Alarm(Base):
    """One alarm; rows stay, as the history. `detail` is JSON: a map for its text."""

    __tablename__ = "alarms"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64), index=True)
    # "kind/subject" while it is open, else NULL: a constraint keeps there one open of each.
    open_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    severity: Mapped[str] = mapped_column(String(8), default="warning")
    detail: Mapped[str] = mapped_column(Text)
    count: Mapped[int] = mapped_column(Integer)  # how often it was raised while open
    first_us: Mapped[int] = mapped_column(BigInteger)
    last_us: Mapped[int] = mapped_column(BigInteger)
    # When it began and ended by the records that told so, where records did.
    began_us: Mapped[int | None] = mapped_column(BigInteger)
    ended_us: Mapped[int | None] = mapped_column(BigInteger)
    node_id: Mapped[str | None] = mapped_column(String(10), index=True)
    asset_id: Mapped[int | None] = mapped_column(Integer, index=True)
    area_code: Mapped[str | None] = mapped_column(String(12))
    acknowledged_us: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[str | None] = mapped_column(String(64))
    assigned_us: Mapped[int | None] = mapped_column(BigInteger)
    assigned_to: Mapped[str | None] = mapped_column(String(64))
    cleared_us: Mapped[int | None] = mapped_column(BigInteger)
    cleared_by: Mapped[str | None] = mapped_column(String(64))
    escalated: Mapped[int] = mapped_column(Integer, default=0)  # how often, to whom: its acts
    # Kept, and nobody is told: the alarm that stands for it, or the maintenance that covers it.
    parent_id: Mapped[int | None] = mapped_column(Integer, index=True)
    maintenance_id: Mapped[int | None] = mapped_column(Integer, index=True)


# The alarms of a street are counted with each batch that changes one; history is not in the way.
Index(
    "ix_alarms_area",
    Alarm.area_code,
    Alarm.kind,
    sqlite_where=Alarm.open_key.is_not(None),
    postgresql_where=Alarm.open_key.is_not(None),
)


class AlarmAct(Base):
    """What was done about an alarm, by whom; rows are only ever added."""

    __tablename__ = "alarm_acts"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    alarm_id: Mapped[int] = mapped_column(ForeignKey("alarms.id"), index=True)
    time_us: Mapped[int] = mapped_column(BigInteger)
    person: Mapped[str] = mapped_column(String(64))
    act: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(String(1000))


class Maintenance(Base):
    """Work at a node, an asset or in an area: its alarms are kept, and nobody is told."""

    __tablename__ = "alarm_maintenances"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    scope: Mapped[str] = mapped_column(String(8))  # node, asset or area
    target: Mapped[str] = mapped_column(String(12))
    from_us: Mapped[int] = mapped_column(BigInteger)
    until_us: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(200))
    person: Mapped[str] = mapped_column(String(64))
    ended_us: Mapped[int | None] = mapped_column(BigInteger, index=True)
    ended_by: Mapped[str | None] = mapped_column(String(64))


class RulePack(Base):
    """A pack of rules that was added, or one of those that come along, switched off."""

    __tablename__ = "alarm_packs"

    name: Mapped[str] = mapped_column(String(12), primary_key=True)
    text: Mapped[str | None] = mapped_column(Text)  # TOML; NULL: the one that comes along
    digest: Mapped[str] = mapped_column(String(64))
    is_on: Mapped[bool]
    changed_us: Mapped[int] = mapped_column(BigInteger)
    changed_by: Mapped[str] = mapped_column(String(64))


class WatchState(Base):
    """How a rule stands with an asset. There is no row where all is quiet and nothing is due."""

    __tablename__ = "alarm_watches"

    asset_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    rule: Mapped[str] = mapped_column(String(32), primary_key=True)
    phase: Mapped[int] = mapped_column(Integer)  # of hysteresis.Phase
    since_us: Mapped[int] = mapped_column(BigInteger)
    seen_us: Mapped[int] = mapped_column(BigInteger)  # the newest reading that was weighed
    value: Mapped[int] = mapped_column(BigInteger)  # at which a stuck series stands
    # When to look again, for the rules that find what does not come; their queue.
    due_us: Mapped[int | None] = mapped_column(BigInteger, index=True)


class Channel(Base):
    """Where alarms are told: a webhook or a mail address, and which of them."""

    __tablename__ = "alarm_channels"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))  # webhook or mail
    target: Mapped[str] = mapped_column(String(500))  # URL or address
    secret: Mapped[bytes | None]  # of a webhook, wrapped
    severity: Mapped[str] = mapped_column(String(8))  # the least that is told
    area_code: Mapped[str] = mapped_column(String(12))  # beginning of the areas' codes
    after_s: Mapped[int] = mapped_column(Integer)  # 0: at once; else an escalation
    until: Mapped[str] = mapped_column(String(12))  # what stops it: acknowledged or cleared
    lang: Mapped[str] = mapped_column(String(2))
    failures: Mapped[int] = mapped_column(Integer, default=0)  # in a row
    failing_us: Mapped[int | None] = mapped_column(BigInteger)  # since when
    retry_us: Mapped[int] = mapped_column(BigInteger, default=0)  # not before
    added_us: Mapped[int] = mapped_column(BigInteger)
    added_by: Mapped[str] = mapped_column(String(64))


class OutMessage(Base):
    """What is to be told by a channel: written with the alarm, sent after the commit."""

    __tablename__ = "alarm_messages"
    __table_args__ = (
        Index("ix_alarm_messages_due", "state", "channel", "due_us"),
        Index("ix_alarm_messages_done", "state", "done_us"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    channel: Mapped[str] = mapped_column(String(32))
    alarm_id: Mapped[int] = mapped_column(ForeignKey("alarms.id"), index=True)
    event: Mapped[str] = mapped_column(String(12))
    state: Mapped[str] = mapped_column(String(10))  # queued, sent, withdrawn, given-up
    created_us: Mapped[int] = mapped_column(BigInteger)
    due_us: Mapped[int] = mapped_column(BigInteger)
    first_us: Mapped[int] = mapped_column(BigInteger)  # when it was due first
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    done_us: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(String(200), default="")
