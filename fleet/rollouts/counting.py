"""How many updates of each group are in which state, kept with every move."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fleet.rollouts import states
from fleet.rollouts.tables import RolloutCohort, RolloutCount, RolloutGroup, Update

HOUR_US = 3600 * 1_000_000


class Changes:
    """What some moves add and take away, written at once."""

    def __init__(self) -> None:
        self._states: Counter[tuple[int, int, str]] = Counter()
        self._errors: Counter[tuple[int, int]] = Counter()
        self._cohorts: dict[tuple[int, int], list[int]] = {}

    def note(self, row: Update, before: tuple[str, bool], after: tuple[str, bool]) -> None:
        """`row` went from a state to another one; with each whether it is an error."""
        group = (row.rollout_id, row.group_no)
        self._states[(*group, before[0])] -= 1
        self._states[(*group, after[0])] += 1
        self._errors[group] += after[1] - before[1]
        was_open, is_open = before[0] in states.OPEN, after[0] in states.OPEN
        if was_open != is_open:
            hour = (row.offered_us or 0) // HOUR_US
            cohort = self._cohorts.setdefault((row.rollout_id, hour), [0, 0, 0])
            if is_open:
                cohort[0] += 1
            elif after[0] in states.GOOD:
                cohort[1] += 1
            elif after[0] in states.BAD:
                cohort[2] += 1
            else:
                cohort[0] -= 1  # it says nothing about the release

    def write(self, session: Session) -> None:
        """In the order of the keys, so that two who write wait for each other in one order."""
        deltas = sorted((key, delta) for key, delta in self._states.items() if delta)
        add(session, deltas)
        for (rollout_id, number), delta in sorted(self._errors.items()):
            if delta:
                session.execute(
                    update(RolloutGroup)
                    .where(RolloutGroup.rollout_id == rollout_id, RolloutGroup.number == number)
                    .values(errors=RolloutGroup.errors + delta)
                )
        insert = _insert(session)
        for (rollout_id, hour), (offered, good, bad) in sorted(self._cohorts.items()):
            statement = insert(RolloutCohort).values(
                rollout_id=rollout_id, hour=hour, offered=offered, good=good, bad=bad
            )
            more = statement.excluded
            session.execute(
                statement.on_conflict_do_update(
                    index_elements=["rollout_id", "hour"],
                    set_={
                        "offered": RolloutCohort.offered + more.offered,
                        "good": RolloutCohort.good + more.good,
                        "bad": RolloutCohort.bad + more.bad,
                    },
                )
            )


def add(session: Session, deltas: list[tuple[tuple[int, int, str], int]]) -> None:
    """Add to counts: ((rollout, group, state), by how much) each."""
    insert = _insert(session)
    for (rollout_id, group_no, state), delta in deltas:
        statement = insert(RolloutCount).values(
            rollout_id=rollout_id, group_no=group_no, state=state, count=delta
        )
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["rollout_id", "group_no", "state"],
                set_={"count": RolloutCount.count + statement.excluded.count},
            )
        )


def _insert(session: Session) -> Callable[[Any], Any]:
    postgres = session.connection().dialect.name == "postgresql"
    return postgresql.insert if postgres else sqlite.insert


class Tally(NamedTuple):
    """Of a group, or of several together. `open`: in flight; `neutral`: no part of any share."""

    scheduled: int
    open: int
    good: int
    bad: int
    neutral: int

    @property
    def ended(self) -> int:
        """Whose end counts."""
        return self.good + self.bad


def of_group(session: Session, rollout_id: int, group_no: int) -> dict[str, int]:
    """State to count, of one group."""
    rows = session.execute(
        select(RolloutCount.state, RolloutCount.count).where(
            RolloutCount.rollout_id == rollout_id, RolloutCount.group_no == group_no
        )
    )
    return {state: count for state, count in rows if count}


def of_rollout(session: Session, rollout_id: int) -> dict[int, dict[str, int]]:
    """State to count, by group."""
    found: dict[int, dict[str, int]] = {}
    rows = session.execute(
        select(RolloutCount.group_no, RolloutCount.state, RolloutCount.count)
        .where(RolloutCount.rollout_id == rollout_id)
        .execution_options(populate_existing=True)
    )
    for group_no, state, count in rows:
        found.setdefault(group_no, {})[state] = count
    return found


def tally(counts: dict[str, int]) -> Tally:
    """Counts by state, put together."""

    def of(several: tuple[str, ...]) -> int:
        return sum(counts.get(state, 0) for state in several)

    return Tally(
        counts.get(states.SCHEDULED, 0), of(states.OPEN), of(states.GOOD), of(states.BAD),
        of(states.NEUTRAL),
    )  # fmt: skip
