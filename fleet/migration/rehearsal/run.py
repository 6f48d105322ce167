"""A rehearsal from its beginning to its verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fleet.db.base import Database
from fleet.migration import audit, policy
from fleet.migration import rules as rule_files
from fleet.migration.breaches import LedgerError
from fleet.migration.rehearsal import facts, verdict
from fleet.migration.rehearsal.chances import Chances
from fleet.migration.rehearsal.crews import Crews, Day
from fleet.migration.rehearsal.facts import Old
from fleet.migration.rehearsal.flows import DAY_US
from fleet.migration.rehearsal.play import AHEAD, Play, Progress
from fleet.migration.rehearsal.radio import Air, Overload
from fleet.migration.rehearsal.street import SHIFT_US, Call, Street
from fleet.migration.rehearsal.verdict import Verdict
from fleet.migration.wave_settings import WaveSettings, of_programme
from fleet.registry.operations import now_us

_LEAD = 2  # days on which old terminals are heard before anything is prepared


class Rehearsed(NamedTuple):
    """What a rehearsal came to. `states`: of its items at the end; `crews`: the days on which
    more was asked of them than they have minutes, or on which something was left over; `late`:
    items by how many days; `refused`: what the fleet did not take, by its reason.
    """

    items: int
    moved: int
    days: int
    states: Mapping[str, int]
    rolled_back: Mapping[str, int]
    verdict: Verdict
    cells: tuple[Overload, ...]
    crews: tuple[Day, ...]
    late: Mapping[int, int]
    refused: Mapping[str, int]
    stuck: int
    breach: str

    @property
    def is_well(self) -> bool:
        """Whether no reading and no bill was harmed, and the audit found nothing."""
        return self.verdict.is_true and not self.breach and not self.stuck

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        told = {**self._asdict(), "is_well": self.is_well}
        told["verdict"] = {
            **self.verdict._asdict(),
            "less": [one._asdict() for one in self.verdict.less],
            "more": [one._asdict() for one in self.verdict.more],
        }
        told["cells"] = [one._asdict() for one in self.cells]
        told["crews"] = [one._asdict() for one in self.crews]
        return told


class Rehearsal:
    """One programme of `database`, which only this reads from; `call` is the fleet's side."""

    def __init__(
        self, database: Database, name: str, chances: Chances, call: Call,
        bound: Sequence[int] = (), identities: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._name = name
        with database.read() as session:
            programme = audit.find(session, name)
            rules = rule_files.read(programme.rules, f"the rules of {programme.name}")
            self.settings: WaveSettings = of_programme(programme.settings)
            limits = policy.of(session, programme.id)
            self.olds: list[Old] = facts.load(session, programme.id, identities or {})
        due = [old.due_day for old in self.olds if old.due_day is not None]
        if not due:
            raise LedgerError(f"programme {name} has no days: kapok migrate waves {name}")
        self.first_day = max(min(due) - AHEAD - _LEAD, now_us() // DAY_US + 2)
        self.air = Air(rules.cells)
        start_us = self.first_day * DAY_US - SHIFT_US
        self.street = Street(self.olds, chances, start_us, rules.cells["window_h"], self.air)
        self.crews = Crews(call, self.street, self.olds, rules, self.settings, chances)
        self.play = Play(
            call, self.street, self.crews, self.olds, self.settings, limits, chances, bound
        )

    def run(self, keys: Mapping[bytes, bytes], on_day: Progress | None = None) -> Rehearsed:
        """All of it. `keys`: moduli of the evidence's signers by key id."""
        end_us = self.play.run(self.first_day, on_day)
        proved = audit.audit(self._database, self._name, keys)
        states: Counter[str] = Counter()
        with self._database.read() as session:
            for old in facts.load(session, audit.find(session, self._name).id, {}):
                states[old.state] += 1
        busy = [day for day in self.crews.days if day.left > 0 or day.asked_min > day.capacity_min]
        return Rehearsed(
            len(self.olds), len(self.play.moving), (end_us + SHIFT_US) // DAY_US - self.first_day,
            dict(states), dict(self.play.rolled_back),
            verdict.judge(self._database, self.street, end_us), tuple(self.air.overloads()),
            tuple(busy), dict(self.crews.late),
            dict(self.play.refused + Counter(self.crews.refused)), self.play.stuck,
            proved.breach.line() if proved.breach is not None else "",
        )  # fmt: skip
