"""What makes rollouts go on by themselves, each in a transaction of its own; a tick costs what it
advances, whatever the fleet's size.
"""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.releases import deltas, store, workshop
from fleet.rollouts import (
    clearing,
    ending,
    events,
    expiry,
    filling,
    joiners,
    lifecycle,
    offering,
    pace,
    states,
    target,
)
from fleet.rollouts.gate import Verdict
from fleet.rollouts.offering import Offerer
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout
from fleet.rollouts.weighing import Weighing

SECOND_US = 1_000_000
NEXT_US = 2 * SECOND_US  # until a rollout that made offers is looked at again
IDLE_US = 10 * SECOND_US  # and one that waits for news
MOST_OFFERS = 1000  # of one rollout in one tick
DELTAS_US = 900 * SECOND_US  # that a release's deltas are waited for at most


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
        ending.cancel_some(session, offerer, row, now_us)
        return 0
    if row.state != lifecycle.RUNNING:
        ending.take_back_some(session, offerer, row, now_us)
        return 0
    if store.revoked(session, row.sequence):
        row.state, row.why, row.due_us = lifecycle.CANCELING, "revoked", now_us
        events.note(session, row.id, now_us, "revoked")
        return 0
    return _Round(session, offerer, row, now_us).run(most)


class _Round:
    """One look at a running rollout."""

    def __init__(
        self, session: Session, offerer: Offerer, row: Rollout, now_us: int
    ) -> None:  # fmt: skip
        self._session = session
        self._offerer = offerer
        self._row = row
        self._now = now_us
        self._known = Weighing(session, row, now_us)
        self._plan = self._known.plan

    def run(self, most: int) -> int:
        """How many offers it made."""
        row, now = self._row, self._now
        if row.group_no == 0:
            self._open(1)
        self._take_late()
        over = self._known.over
        if over and self._let_go(over):
            row.due_us = now
            return 0
        for _ in self._known.groups:
            verdict, why = self._known.judge()
            if verdict is Verdict.STOP:
                self._stop(why)
                return 0
            if verdict is not Verdict.NEXT:
                break
            self._close()
            if self._known.is_last:
                ending.finish(self._session, row, now)
                return 0
            self._open(row.group_no + 1)
        row.why = why if verdict is Verdict.HOLD else ""
        if verdict is Verdict.HOLD:
            row.due_us = now + IDLE_US
            return 0
        return self._offer(most)

    def _open(self, number: int) -> None:
        self._row.group_no = number
        group = self._known.group
        group.state, group.opened_us = filling.OPEN, self._now
        events.note(self._session, self._row.id, self._now, "group", detail={"name": group.name})

    def _close(self) -> None:
        group = self._known.group
        group.state, group.closed_us = filling.DONE, self._now

    def _stop(self, why: str) -> None:
        """No offers any more, and those that no node has taken yet are taken back."""
        row = self._row
        row.state, row.why = lifecycle.STOPPED, why
        group = self._known.group
        ending.take_back_some(self._session, self._offerer, row, self._now)
        detail: dict[str, str | int] = {
            "why": why, "group": group.name, "errors": group.errors,
            "ended": self._known.tally([group.number]).ended,
        }  # fmt: skip
        events.note(self._session, row.id, self._now, "stopped", detail=detail)

    def _let_go(self, reason: str) -> int:
        """Its time is over: what nobody was offered never is."""
        return clearing.end_scheduled(
            self._session, self._row.id, states.REMOVED, Actor.FLEET, reason, self._now
        )

    def _take_late(self) -> None:
        row = self._row
        due = self._plan.late and self._now - row.joined_us >= joiners.EVERY_US
        if due and not self._known.over:
            what = target.aim(self._session, row.sequence, self._now)
            if joined := joiners.join(self._session, row, what, self._now):
                events.note(self._session, row.id, self._now, "joined", detail={"nodes": joined})

    def _close_window(self) -> None:
        """Nodes that come by often enough get theirs within it, or at the next one."""
        opens = self._row.due_us
        if self._known.contact_s() <= self._plan.shortest_s():
            ending.take_back_some(self._session, self._offerer, self._row, self._now, "window")
            self._row.due_us = self._row.due_us or opens

    def _offer(self, most: int) -> int:
        row, now = self._row, self._now
        opens = now if row.urgent else self._plan.opens_us(now)
        if opens > now:
            row.due_us, row.why = opens, "window"
            self._close_window()
            return 0
        # Else the canary would get whole images, and prove another path than all others take.
        if deltas.awaited(self._session, row.sequence, now - DELTAS_US) and workshop.can():
            row.due_us, row.why = now + IDLE_US, "delta"
            return 0
        tally = self._known.tally()
        budget = pace.grown(pace.Budget(row.budget, row.budget_us), self._plan, tally.good, now)
        room = pace.room(self._plan, self._known.proved(), tally.open)
        count = min(budget.thousandths // 1000, room, most)
        offered, more = 0, False
        if count > 0:
            offered, more = offering.offer_some(
                self._session, self._offerer, row, self._plan, count, now
            )
        row.budget, row.budget_us = budget.thousandths - offered * 1000, now
        row.due_us = now + (NEXT_US if offered or more else IDLE_US)
        return offered
