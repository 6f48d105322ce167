"""What-if: a programme under several rules and crews, side by side. Nothing is kept."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy.orm import Session

from fleet.migration import cells, planner, scheduling, summary, waves
from fleet.migration.rules import TARGETS, Rules
from fleet.migration.wave_settings import WaveSettings


class Scenario(NamedTuple):
    """A name, the rules, and how waves are made."""

    name: str
    rules: Rules
    settings: WaveSettings


class Outcome(NamedTuple):
    """`differs`: terminals with another bearer or path than in the first scenario."""

    name: str
    bearers: dict[str, int]
    differs: int
    visits: int
    minutes: int
    fen: int
    waves: int
    last_day: int | None
    late: int
    unplaced: int
    cells: int
    overloaded: int
    busiest_permille: int


def scenarios(
    rules: Sequence[tuple[str, Rules]], crews: Sequence[int], settings: WaveSettings
) -> list[Scenario]:
    """Each rules file with each number of crews."""
    return [
        Scenario(f"{name}, {count} crews", one, replace(settings, crews=count))
        for name, one in rules
        for count in crews or (settings.crews,)
    ]


def run(session: Session, scope: str, several: Sequence[Scenario]) -> list[Outcome]:
    """The same terminals under each of them."""
    first: dict[str, tuple[str, str]] = {}
    found = []
    for scenario in several:
        chosen = list(planner.choices(session, scope, scenario.rules))
        pairs = {subject.row.terminal_id: made[:2] for subject, made in chosen}
        first = first or pairs
        differs = sum(first[key] != pair for key, pair in pairs.items())
        found.append(_outcome(session, scope, scenario, chosen, differs))
    return found


def _outcome(
    session: Session, scope: str, scenario: Scenario, chosen: list[scheduling.Chosen], differs: int
) -> Outcome:
    rules = scenario.rules
    counts = summary.count((made.bearer, made.path) for _, made in chosen)
    shares = summary.shares(counts, rules)
    numbered = ((place, subject, made) for place, (subject, made) in enumerate(chosen))
    days = waves.make([*scheduling.works(session, numbered, rules)], scenario.settings)
    wanted = [*scheduling.demands(chosen, rules), *cells.of_nodes(session, scope)]
    loads = cells.load(wanted, rules.cells)
    bearers: Counter[str] = Counter()
    for (bearer, _path), count in counts.items():
        bearers[bearer] += count
    return Outcome(
        scenario.name, {name: bearers[name] for name in TARGETS if bearers[name]}, differs,
        sum(one.terminals for one in shares if one.minutes), sum(one.minutes for one in shares),
        sum(one.fen for one in shares), max((one.wave for one in days.placed), default=0),
        max((one.day for one in days.placed), default=None), sum(one.late for one in days.placed),
        len(days.unplaced), len(loads), sum(bool(one.overload) for one in loads),
        max((one.busy_permille for one in loads), default=0),
    )  # fmt: skip
