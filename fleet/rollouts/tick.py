"""What makes rollouts go on by themselves, each in a transaction of its own; a tick costs what it
advances, whatever the fleet's size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.releases import deltas, store, workshop
from fleet.rollouts import (
    clearing,
    counting,
    events,
    expiry,
    filling,
    gate,
    joiners,
    lifecycle,
    offering,
    pace,
    states,
    target,
)
from fleet.rollouts import plan as plans
from fleet.rollouts.counting import HOUR_US, Tally
from fleet.rollouts.gate import Cohorts, Stage, Verdict
from fleet.rollouts.offering import Offerer
from fleet.rollouts.plan import Plan
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, RolloutCohort, RolloutGroup, Update
from fleet.updates import deadlines
from fleet.wire import release as wire

SECOND_US = 1_000_000
DAY_US = 24 * HOUR_US
NEXT_US = 2 * SECOND_US  # until a rollout that made offers is looked at again
IDLE_US = 10 * SECOND_US  # and one that waits for news
MOST_OFFERS = 1000  # of one rollout in one tick
_AT_ONCE = 500  # offers that are taken back in one transaction
DELTAS_US = 900 * SECOND_US  # that a release's deltas are waited for at most
_ROLES = {"": "gas-meter"}  # a release for every role: by the slowest


class Ticked(NamedTuple):
    """What one tick did."""

    expired: int
    offered: int
    rollouts: int


def waits(session: Session, now_us: int) -> bool:
    """Whether a tick has something to do: two looks at indexes."""
    due = select(Rollout.id).where(Rollout.due_us <= now_us).limit(1)
    return session.scalar(due) is not None or expiry.waits(session, now_us)


def tick(database: Database, offerer: Offerer, now_us: int, most: int = MOST_OFFERS) -> Ticked:
    """One round over what is due: urgent rollouts first, then the oldest."""
    with database.begin() as session:
        expired = expiry.expire(session, offerer, now_us)
    with database.read() as session:
        due = session.scalars(
            select(Rollout.id)
            .where(Rollout.due_us <= now_us)
            .order_by(Rollout.urgent.desc(), Rollout.id)
        ).all()
    offered = 0
    failed: Exception | None = None
    for identifier in due:
        try:
            with database.begin() as session:
                offered += _advance(session, offerer, identifier, now_us, most - offered)
        except Exception as e:  # whatever it is: the others must go on
            failed = e
    if failed is not None:
        raise failed
    return Ticked(expired, offered, len(due))


def _advance(
    session: Session, offerer: Offerer, identifier: int, now_us: int, most: int
) -> int:  # fmt: skip
    row = session.get(
        Rollout, identifier, with_for_update={"skip_locked": True}, populate_existing=True
    )
    if row is None or row.due_us is None or row.due_us > now_us:
        return 0  # another process has it, or had
    if row.state == lifecycle.CANCELING:
        _cancel_some(session, offerer, row, now_us)
        return 0
    if row.state != lifecycle.RUNNING:
        _take_back_some(session, offerer, row, now_us)
        return 0
    if store.revoked(session, row.sequence):
        row.state, row.why, row.due_us = lifecycle.CANCELING, "revoked", now_us
        events.note(session, row.id, now_us, "revoked")
        return 0
    return _Round(session, offerer, row, now_us).run(most)


def _cancel_some(session: Session, offerer: Offerer, row: Rollout, now_us: int) -> None:
    row.due_us = now_us
    if row.group_no == 0 and clearing.drop_unmade(session, row.id):
        return
    if clearing.end_scheduled(session, row.id, states.CANCELED, Actor.PERSON, "canceled", now_us):
        return
    flying = _flying(session, row.id, states.OPEN)
    if flying:
        offering.take_back(
            session, offerer, flying, states.CANCELED, Actor.PERSON, "canceled", now_us
        )
        return
    _end(session, row, lifecycle.CANCELED, now_us)


def _take_back_some(session: Session, offerer: Offerer, row: Rollout, now_us: int) -> None:
    """Of one that was stopped or paused: what no node has taken yet waits again."""
    flying = _flying(session, row.id, [states.OFFERED])
    row.due_us = now_us if flying else None
    if flying:
        offering.take_back(
            session, offerer, flying, states.SCHEDULED, Actor.FLEET, "stopped", now_us
        )


def _flying(session: Session, rollout_id: int, several: Sequence[str]) -> Sequence[int]:
    return session.scalars(
        select(Update.id)
        .where(
            Update.rollout_id == rollout_id, Update.open_for.is_not(None),
            Update.state.in_(several),
        )
        .limit(_AT_ONCE)
    ).all()  # fmt: skip


def _end(session: Session, row: Rollout, state: str, now_us: int) -> None:
    row.state, row.due_us, row.ended_us = state, None, now_us
    events.note(session, row.id, now_us, state)


class _Round:
    """One look at a running rollout."""

    def __init__(
        self, session: Session, offerer: Offerer, row: Rollout, now_us: int
    ) -> None:  # fmt: skip
        self._session = session
        self._offerer = offerer
        self._row = row
        self._now = now_us
        self._plan: Plan = plans.loads(row.plan)
        self._groups = list(
            session.scalars(
                select(RolloutGroup)
                .where(RolloutGroup.rollout_id == row.id)
                .order_by(RolloutGroup.number)
            )
        )
        self._counts = counting.of_rollout(session, row.id)

    def run(self, most: int) -> int:
        """How many offers it made."""
        row, now = self._row, self._now
        if row.group_no == 0:
            self._open(1)
        self._take_late()
        started = row.started_us if row.started_us is not None else now
        over = "too-late" if now - started > self._plan.days * DAY_US else ""
        over = over or ("expired" if self._expiry_us() <= now else "")
        if over and self._let_go(over):
            row.due_us = now
            return 0
        for _ in self._groups:
            verdict, why = self._judge()
            if verdict is Verdict.STOP:
                self._stop(why)
                return 0
            if verdict is not Verdict.NEXT:
                break
            if not self._next():
                return 0
        row.why = why if verdict is Verdict.HOLD else ""
        if verdict is Verdict.HOLD:
            row.due_us = now + IDLE_US
            return 0
        return self._offer(most)

    def _tally(self, numbers: Sequence[int] = ()) -> Tally:
        several = [self._counts.get(number, {}) for number in numbers or self._counts]
        together: dict[str, int] = {}
        for counts in several:
            for state, count in counts.items():
                together[state] = together.get(state, 0) + count
        return counting.tally(together)

    def _open(self, number: int) -> None:
        group = self._groups[number - 1]
        self._row.group_no = number
        group.state, group.opened_us = filling.OPEN, self._now
        events.note(self._session, self._row.id, self._now, "group", detail={"name": group.name})

    def _next(self) -> bool:
        """The open group is done: the next one, if there is one; else all is."""
        group = self._groups[self._row.group_no - 1]
        if self._row.group_no == len(self._groups):
            if self._pending():
                self._row.due_us = self._now + IDLE_US
                return False
            group.state, group.closed_us = filling.DONE, self._now
            _end(self._session, self._row, lifecycle.FINISHED, self._now)
            return False
        group.state, group.closed_us = filling.DONE, self._now
        self._open(self._row.group_no + 1)
        return True

    def _judge(self) -> tuple[Verdict, str]:
        row, group = self._row, self._groups[self._row.group_no - 1]
        if group.name == filling.LATE:
            # Open-ended: it is never done, but what stops the others stops it.
            verdict, why = self._judged(group, whole=True)
            return (Verdict.WAIT, "") if verdict is Verdict.NEXT else (verdict, why)
        return self._judged(group, whole=row.group_no in (1, len(self._groups)))

    def _judged(self, group: RolloutGroup, *, whole: bool) -> tuple[Verdict, str]:
        tally = self._tally([group.number])
        failed = self._counts.get(group.number, {})
        pending = any(failed.get(state) for state in states.COUNTED) and self._pending(
            group.number
        )
        stage = Stage(group.number == 1, whole, group.total, group.errors, pending, tally)
        since = group.opened_us or 0
        return gate.judge(self._plan, stage, [self._ripe(0), self._ripe(since // HOUR_US)])

    def _ripe(self, from_hour: int) -> Cohorts:
        """What was offered so long ago that a node should have come and been done."""
        until = self._now // HOUR_US - self._patience_hours()
        sums = [
            func.coalesce(func.sum(getattr(RolloutCohort, name)), 0) for name in Cohorts._fields
        ]
        found = self._session.execute(
            select(*sums).where(
                RolloutCohort.rollout_id == self._row.id, RolloutCohort.hour >= from_hour,
                RolloutCohort.hour < until,
            )
        ).one()  # fmt: skip
        return Cohorts._make(found)

    def _patience_hours(self) -> int:
        role = store.release(self._session, self._row.sequence).role
        # A trial takes its time where reports are frequent, too.
        return max(24, deadlines.contact_s(_ROLES.get(role, role)) // 3600)

    def _pending(self, group_no: int | None = None) -> bool:
        """Whether anything is scheduled, to be tried again, or in flight."""
        if group_no is None and self._tally().open:
            return True
        due = select(Update.id).where(
            Update.rollout_id == self._row.id, Update.due_us.is_not(None)
        )
        if group_no is not None:
            due = due.where(Update.group_no == group_no)
        return self._session.scalar(due.limit(1)) is not None

    def _stop(self, why: str) -> None:
        """No offers any more, and those that no node has taken yet are taken back."""
        row = self._row
        row.state, row.why = lifecycle.STOPPED, why
        group = self._groups[row.group_no - 1]
        _take_back_some(self._session, self._offerer, row, self._now)
        detail: dict[str, str | int] = {
            "why": why, "group": group.name, "errors": group.errors,
            "ended": self._tally([group.number]).ended,
        }  # fmt: skip
        events.note(self._session, row.id, self._now, "stopped", detail=detail)

    def _expiry_us(self) -> int:
        manifest = wire.decode(store.release(self._session, self._row.sequence).manifest)
        return int(manifest.expiry) * SECOND_US

    def _let_go(self, reason: str) -> int:
        """Its time is over: what nobody was offered never is."""
        return clearing.end_scheduled(
            self._session, self._row.id, states.REMOVED, Actor.FLEET, reason, self._now
        )

    def _take_late(self) -> None:
        row = self._row
        due = self._plan.late and self._now - row.joined_us >= joiners.EVERY_US
        if due and self._expiry_us() > self._now:
            what = target.aim(self._session, row.sequence, self._now)
            if joined := joiners.join(self._session, row, what, self._now):
                events.note(self._session, row.id, self._now, "joined", detail={"nodes": joined})

    def _offer(self, most: int) -> int:
        row, now = self._row, self._now
        opens = now if row.urgent else self._plan.opens_us(now)
        if opens > now:
            row.due_us, row.why = opens, "window"
            return 0
        # Else the canary would get whole images, and prove another path than all others take.
        if deltas.awaited(self._session, row.sequence, now - DELTAS_US) and workshop.can():
            row.due_us, row.why = now + IDLE_US, "delta"
            return 0
        tally = self._tally()
        budget = pace.grown(pace.Budget(row.budget, row.budget_us), self._plan, tally.good, now)
        room = pace.room(self._plan, self._ripe(0).good, tally.open)
        count = min(budget.thousandths // 1000, room, most)
        offered, more = 0, False
        if count > 0:
            offered, more = offering.offer_some(
                self._session, self._offerer, row, self._plan, count, now
            )
        row.budget, row.budget_us = budget.thousandths - offered * 1000, now
        row.due_us = now + (NEXT_US if offered or more else IDLE_US)
        return offered
