"""Tables of rollouts: the plan, its groups, and each terminal's part. Times are us UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column

from fleet.db.base import Base

WIDE = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers by INTEGER alone


class Rollout(Base):
    """How one release reaches the terminals that a query names.

    `plan` is JSON (plan.py); `due_us`: when the tick must look at it next, None: it is over.
    `budget` offers (in thousandths) may go out, as of `budget_us`. Terminals added behind
    `joined_us` have yet to be looked at: late joiners.
    """

    __tablename__ = "rollouts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # as SQLAlchemy wants it

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)
    sequence: Mapped[int] = mapped_column(Integer)  # of the release
    query: Mapped[str] = mapped_column(Text)
    plan: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    why: Mapped[str] = mapped_column(String(120))  # of the state: what stopped it, say
    urgent: Mapped[bool] = mapped_column(Boolean)
    valve: Mapped[bool] = mapped_column(Boolean)  # a second person approves it
    asked_by: Mapped[str] = mapped_column(String(64))
    asked_account: Mapped[str] = mapped_column(String(64))
    asked_us: Mapped[int] = mapped_column(BigInteger)
    approved_by: Mapped[str | None] = mapped_column(String(64))
    approved_account: Mapped[str | None] = mapped_column(String(64))
    approved_us: Mapped[int | None] = mapped_column(BigInteger)
    started_us: Mapped[int | None] = mapped_column(BigInteger)
    ended_us: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(Integer)
    group_no: Mapped[int] = mapped_column(Integer)  # the one that is open; 0: none yet
    joined_us: Mapped[int] = mapped_column(BigInteger)
    budget: Mapped[int] = mapped_column(BigInteger)
    budget_us: Mapped[int] = mapped_column(BigInteger)
    due_us: Mapped[int | None] = mapped_column(BigInteger)


Index("ix_rollouts_due", Rollout.due_us)


class RolloutGroup(Base):
    """One stage. The canary is number 1; the last one, of late joiners, is open-ended.

    `errors`: terminals that failed and did not succeed since, those that are tried again among
    them.
    """

    __tablename__ = "rollout_groups"

    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(10))
    total: Mapped[int] = mapped_column(Integer)
    errors: Mapped[int] = mapped_column(Integer)
    opened_us: Mapped[int | None] = mapped_column(BigInteger)
    closed_us: Mapped[int | None] = mapped_column(BigInteger)


class RolloutCount(Base):
    """How many updates of a group are in a state: kept by moves.py, so that nobody counts."""

    __tablename__ = "rollout_counts"

    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), primary_key=True)
    group_no: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(17), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)


class RolloutCohort(Base):
    """What was offered within one hour, and how it ended: so that what ends late, as a node that
    is lost does, is weighed against what was offered with it, and not against all that came since.
    """

    __tablename__ = "rollout_cohorts"

    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # since 1970
    offered: Mapped[int] = mapped_column(Integer)
    good: Mapped[int] = mapped_column(Integer)
    bad: Mapped[int] = mapped_column(Integer)


class RolloutEvent(Base):
    """What was done to a rollout, or what it did by itself: its history for people.

    `kind` is a word, `detail` JSON.
    """

    __tablename__ = "rollout_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"), index=True)
    at_us: Mapped[int] = mapped_column(BigInteger)
    person: Mapped[str] = mapped_column(String(64))  # "": nobody, the fleet itself
    kind: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text)


class Update(Base):
    """One terminal's part in a rollout; `state` and who may change it: states.py.

    Two clocks run while it is open: `absolute_us` never moves, `step_us` begins anew at every
    news of the node, for `step_s` more, and never lies behind the first. `history`: a line a
    move, "us state actor reason", of which there is a bound.
    """

    __tablename__ = "updates"
    __table_args__ = (UniqueConstraint("node_id", "rollout_id"),)

    id: Mapped[int] = mapped_column(WIDE, primary_key=True)
    rollout_id: Mapped[int] = mapped_column(ForeignKey("rollouts.id"))
    group_no: Mapped[int] = mapped_column(SmallInteger)
    place: Mapped[int] = mapped_column(Integer)  # in the rollout's order, from 1
    node_id: Mapped[str] = mapped_column(String(10))
    cell: Mapped[str] = mapped_column(String(20))  # what its load is counted by
    sequence: Mapped[int] = mapped_column(Integer)  # of the release
    state: Mapped[str] = mapped_column(String(17))
    reason: Mapped[str] = mapped_column(String(40))  # of the state; the key of a text
    number: Mapped[int | None] = mapped_column(Integer)  # of its item in the node's queue
    # Scheduled: not to be looked at before, so that one that cannot go now is in nobody's way.
    due_us: Mapped[int | None] = mapped_column(BigInteger)
    offered_us: Mapped[int | None] = mapped_column(BigInteger)  # the last time
    absolute_us: Mapped[int | None] = mapped_column(BigInteger)
    step_us: Mapped[int | None] = mapped_column(BigInteger)
    step_s: Mapped[int | None] = mapped_column(Integer)
    moved_us: Mapped[int | None] = mapped_column(BigInteger)  # the last news of it
    mark: Mapped[int] = mapped_column(Integer)  # bytes of the stream that the node has
    attempts: Mapped[int] = mapped_column(SmallInteger)  # that failed or ran out of time
    history: Mapped[str] = mapped_column(Text)
    # The node while this is its update in flight, else NULL: a constraint, not a check.
    open_for: Mapped[str | None] = mapped_column(String(10))


Index(
    "uq_updates_open_for",
    Update.open_for,
    unique=True,
    sqlite_where=Update.open_for.is_not(None),
    postgresql_where=Update.open_for.is_not(None),
)
# What may be offered next, in its order; the rest is not in the way.
Index(
    "ix_updates_due",
    Update.rollout_id,
    Update.group_no,
    Update.due_us,
    Update.place,
    sqlite_where=Update.due_us.is_not(None),
    postgresql_where=Update.due_us.is_not(None),
)
# Page by page, and what an interrupted making left.
Index("ix_updates_place", Update.rollout_id, Update.place)
Index(
    "ix_updates_step",
    Update.step_us,
    sqlite_where=Update.open_for.is_not(None),
    postgresql_where=Update.open_for.is_not(None),
)
Index(
    "ix_updates_cell",
    Update.cell,
    sqlite_where=Update.open_for.is_not(None),
    postgresql_where=Update.open_for.is_not(None),
)
# Why some failed and why others wait, to be counted; most have no reason at all.
Index(
    "ix_updates_reason",
    Update.rollout_id,
    Update.state,
    Update.reason,
    sqlite_where=Update.reason != literal_column("''"),
    postgresql_where=Update.reason != literal_column("''"),
)
