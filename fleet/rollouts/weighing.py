"""What is known of a running rollout at one moment, as the gate wants it; it changes nothing."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, literal_column, or_, select
from sqlalchemy.orm import Session

from fleet.releases import store
from fleet.rollouts import counting, filling, gate, offering, states
from fleet.rollouts import plan as plans
from fleet.rollouts.counting import HOUR_US, Tally
from fleet.rollouts.gate import Cohorts, Stage, Sum, Verdict
from fleet.rollouts.plan import Plan
from fleet.rollouts.tables import Rollout, RolloutCohort, RolloutGroup, Update
from fleet.updates import deadlines
from fleet.wire import release as wire

DAY_US = 24 * HOUR_US
_ROLES = {"": "gas-meter"}  # a release for every role: by the slowest


class Weighing:
    """Of a rollout of which a group is open. `over`: why nothing that was not offered is any more,
    the key of a text; empty: it still is.
    """

    def __init__(self, session: Session, row: Rollout, now_us: int) -> None:
        self._session = session
        self._row = row
        self._now = now_us
        self.plan: Plan = plans.loads(row.plan)
        self.groups = list(
            session.scalars(
                select(RolloutGroup)
                .where(RolloutGroup.rollout_id == row.id)
                .order_by(RolloutGroup.number)
                .execution_options(populate_existing=True)
            )
        )
        self._counts = counting.of_rollout(session, row.id)
        self._release = store.release(session, row.sequence)
        self.over = self._why_over()

    @property
    def group(self) -> RolloutGroup:
        """The open one."""
        return self.groups[self._row.group_no - 1]

    @property
    def is_last(self) -> bool:
        """Whether the rollout ends with the open group."""
        return self._row.group_no == len(self.groups) or bool(self.over)

    def judge(self) -> tuple[Verdict, str]:
        """What the gate says of the open group, and of STOP and HOLD why."""
        verdict, why = gate.judge(self.plan, self._stage(), self._several(), self._cohorts())
        # Late joiners may always come; but what stops the others stops them.
        stays = self.group.name == filling.LATE and not self.over and verdict is Verdict.NEXT
        return (Verdict.WAIT, "") if stays else (verdict, why)

    def tally(self, numbers: Sequence[int] = ()) -> Tally:
        """Of some groups, or of all."""
        several = [self._counts.get(number, {}) for number in numbers or self._counts]
        together: dict[str, int] = {}
        for counts in several:
            for state, count in counts.items():
                together[state] = together.get(state, 0) + count
        return counting.tally(together)

    def _stage(self) -> Stage:
        group = self.group
        is_canary, tally = group.number == 1, self.tally([group.number])
        # With the last all others end, whatever was left behind in them.
        is_left = self._is_any_left() if self.is_last else self._is_any_tried_again(group)
        is_stuck = is_canary and not tally.open and not is_left and self._is_stuck(tally)
        return Stage(
            is_canary, self.is_last, group.total, group.errors, is_left, is_stuck, tally
        )  # fmt: skip

    def _several(self) -> list[Sum]:
        """Of the open group, of it and the one before, and so on: small groups tell together."""
        found = []
        errors = ended = offered = 0
        for group in self.groups[self._row.group_no - 1 :: -1]:
            tally = self.tally([group.number])
            errors += group.errors
            ended += max(tally.ended, group.errors)
            offered += max(tally.ended + tally.open, group.errors)
            found.append(Sum(errors, ended, offered))
        return found

    def _cohorts(self) -> list[Cohorts]:
        return [self._ripe(0), self._ripe((self.group.opened_us or 0) // HOUR_US)]

    def proved(self) -> int:
        """How many went well, of what was offered so long ago that a failure would be known."""
        return self._ripe(0).good

    def _ripe(self, from_hour: int) -> Cohorts:
        """What was offered so long ago that a node should have come and been done."""
        # A trial takes its time where reports are frequent, too.
        until = self._now // HOUR_US - max(24, self.contact_s() // 3600)
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

    def _why_over(self) -> str:
        started = self._now if self._row.started_us is None else self._row.started_us
        if self._now - started > self.plan.days * DAY_US:
            return "too-late"
        expiry_s = int(wire.decode(self._release.manifest).expiry)
        return "expired" if expiry_s * 1_000_000 <= self._now else ""

    def contact_s(self) -> int:
        """How long until a node of the release's role has been in contact for sure."""
        role = self._release.role
        return deadlines.contact_s(_ROLES.get(role, role))

    def _is_any_left(self) -> bool:
        """Whether anything is scheduled, to be tried again, or in flight."""
        return self.tally().open > 0 or self._is_due(
            or_(Update.state == states.SCHEDULED, Update.attempts <= self.plan.retries)
        )

    def _is_any_tried_again(self, group: RolloutGroup) -> bool:
        """Of a group of which all were offered, or of the canary; of others it does not matter."""
        counts = self._counts.get(group.number, {})
        if not any(counts.get(state) for state in states.COUNTED):
            return False
        if counts.get(states.SCHEDULED) and group.number > 1:
            return False
        return self._is_due(
            Update.group_no == group.number, Update.state.in_(states.COUNTED),
            Update.attempts <= self.plan.retries,
        )  # fmt: skip

    def _is_due(self, *which: ColumnElement[bool]) -> bool:
        mine = (Update.rollout_id == self._row.id, Update.due_us.is_not(None))
        return self._session.scalar(select(Update.id).where(*mine, *which).limit(1)) is not None

    def _is_stuck(self, tally: Tally) -> bool:
        """Whether all of the canary that was not offered waits for what may never come."""
        waiting = select(func.count()).where(
            Update.rollout_id == self._row.id, Update.group_no == 1,
            Update.state == states.SCHEDULED, Update.reason.in_(offering.LASTING),
            Update.reason != literal_column("''"),  # as the index has it
        )  # fmt: skip
        return self._session.scalar(waiting) == tally.scheduled
