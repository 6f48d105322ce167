"""Rollouts as lists and pages show them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from fleet.rollouts import counting, events, lifecycle, pace, states
from fleet.rollouts import plan as plans
from fleet.rollouts.counting import Tally
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.tables import Rollout, RolloutCount, RolloutGroup, Update

PAGE = 1000


class Listed(NamedTuple):
    """A rollout; times in us since 1970 UTC; `counts`: state to how many."""

    id: int
    name: str
    release: int
    query: str
    state: str
    why: str
    urgent: bool
    valve: bool
    asked_by: str
    asked_us: int
    approved_by: str | None
    approved_us: int | None
    started_us: int | None
    ended_us: int | None
    total: int
    group: int
    counts: Mapping[str, int]

    @property
    def tally(self) -> Tally:
        """Put together."""
        return counting.tally(dict(self.counts))


class Group(NamedTuple):
    """One of its groups; `errors` see RolloutGroup."""

    number: int
    name: str
    state: str
    total: int
    errors: int
    counts: Mapping[str, int]
    opened_us: int | None
    closed_us: int | None


class Status(NamedTuple):
    """Everything about one. `rate`: offers a minute now; `waiting`: why scheduled ones wait, of
    those that were looked at."""

    rollout: Listed
    groups: tuple[Group, ...]
    rate: int
    waiting: Mapping[str, int]
    reasons: Mapping[str, int]
    plan: Mapping[str, Any]
    events: tuple[events.Event, ...]


class Part(NamedTuple):
    """A node's part; `mark`: bytes of the stream that it has."""

    id: int
    node: str
    group: int
    place: int
    state: str
    reason: str
    attempts: int
    mark: int
    offered_us: int | None
    moved_us: int | None
    due_us: int | None
    step_us: int | None
    absolute_us: int | None


def list_(
    session: Session, *, history: bool = False, before: int = 0, limit: int = PAGE
) -> list[Listed]:
    """The newest first; only those that are not over unless `history`."""
    query = select(Rollout).order_by(Rollout.id.desc()).limit(min(limit, PAGE))
    if not history:
        query = query.where(Rollout.state.not_in(lifecycle.OVER))
    if before:
        query = query.where(Rollout.id < before)
    rows = session.scalars(query).all()
    counts: dict[int, dict[str, int]] = {}
    found = session.execute(
        select(RolloutCount.rollout_id, RolloutCount.state, func.sum(RolloutCount.count))
        .where(RolloutCount.rollout_id.in_([row.id for row in rows]))
        .group_by(RolloutCount.rollout_id, RolloutCount.state)
    )
    for rollout_id, state, count in found:
        if count:
            counts.setdefault(rollout_id, {})[state] = int(count)
    return [_listed(row, counts.get(row.id, {})) for row in rows]


def find(session: Session, name: str) -> Rollout:
    """By id or name, to be read; RolloutError."""
    mine = Rollout.name == name
    if name.isascii() and name.isdecimal() and len(name) < 10:
        mine = Rollout.id == int(name)
    row = session.scalar(select(Rollout).where(mine))
    if row is None:
        raise RolloutError(f"no rollout {name[:40]!r}: kapok rollout list")
    return row


def status(session: Session, name: str) -> Status:
    """Of one rollout: what is counted, never a walk over its nodes but those that failed."""
    row = find(session, name)
    plan = plans.loads(row.plan)
    by_group = counting.of_rollout(session, row.id)
    together: dict[str, int] = {}
    for counts in by_group.values():
        for state, count in counts.items():
            if count:
                together[state] = together.get(state, 0) + count
    groups = tuple(
        Group(
            group.number, group.name, group.state, group.total, group.errors,
            {state: count for state, count in by_group.get(group.number, {}).items() if count},
            group.opened_us, group.closed_us,
        )
        for group in session.scalars(
            select(RolloutGroup)
            .where(RolloutGroup.rollout_id == row.id)
            .order_by(RolloutGroup.number)
        )
    )  # fmt: skip
    return Status(
        _listed(row, together), groups, pace.rate(plan, counting.tally(together).good),
        _reasons(session, row.id, (states.SCHEDULED,)), _reasons(session, row.id, states.BAD),
        asdict(plan), tuple(events.of(session, row.id, 100)),
    )  # fmt: skip


def parts(
    session: Session, name: str, *, state: str = "", after: int = 0, limit: int = 100
) -> list[Part]:
    """What became of a rollout at each node, in its order behind place `after`."""
    row = find(session, name)
    query = select(Update).where(Update.rollout_id == row.id, Update.place > after)
    if state:
        query = query.where(Update.state == state)
    found = session.scalars(query.order_by(Update.place).limit(min(limit, PAGE)))
    return [
        Part(
            each.id, each.node_id, each.group_no, each.place, each.state, each.reason,
            each.attempts, each.mark, each.offered_us, each.moved_us, each.due_us, each.step_us,
            each.absolute_us,
        )
        for each in found
    ]  # fmt: skip


def active_counts(session: Session) -> dict[str, int]:
    """Rollouts by state, of those that are not over."""
    rows = session.execute(
        select(Rollout.state, func.count())
        .where(Rollout.state.not_in(lifecycle.OVER))
        .group_by(Rollout.state)
    )
    return {state: count for state, count in rows}  # noqa: C416


def update_counts(session: Session) -> dict[str, int]:
    """Updates by state, of the rollouts that are not over."""
    rows = session.execute(
        select(RolloutCount.state, func.sum(RolloutCount.count))
        .join(Rollout, Rollout.id == RolloutCount.rollout_id)
        .where(Rollout.state.not_in(lifecycle.OVER))
        .group_by(RolloutCount.state)
    )
    return {state: int(count) for state, count in rows}


def _reasons(session: Session, rollout_id: int, several: tuple[str, ...]) -> dict[str, int]:
    """Why, of the nodes in these states that have a reason."""
    rows = session.execute(
        select(Update.reason, func.count())
        .where(
            Update.rollout_id == rollout_id, Update.state.in_(several),
            Update.reason != literal_column("''"),  # as the index has it
        )
        .group_by(Update.reason)
    )  # fmt: skip
    return {reason: count for reason, count in rows}  # noqa: C416


def _listed(row: Rollout, counts: Mapping[str, int]) -> Listed:
    return Listed(
        row.id, row.name, row.sequence, row.query, row.state, row.why, row.urgent, row.valve,
        row.asked_by, row.asked_us, row.approved_by, row.approved_us, row.started_us,
        row.ended_us, row.total, row.group_no, counts,
    )  # fmt: skip
