"""Waves and cells of a programme, or of what might be one: the database on one side, the pure
planners on the other.
"""

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleet.migration import cells, choice, facts, paths, planner, served, wave_settings, waves
from fleet.migration import rules as rule_files
from fleet.migration.cells import Demand, Load
from fleet.migration.choice import Choice
from fleet.migration.facts import Subject
from fleet.migration.inventory import chunks
from fleet.migration.rules import Rules
from fleet.migration.scaling import register_of
from fleet.migration.tables import PLANNED, MigrationItem, MigrationProgramme
from fleet.migration.wave_settings import WaveSettings
from fleet.migration.waves import Waves, Work
from fleet.registry.operations import now_us

Chosen = tuple[Subject, Choice]


class Made(NamedTuple):
    """What waves came to: items with a day, without one (why, how many), and too late."""

    placed: int
    unplaced: dict[str, int]
    late: int
    under_way: int


def works(
    session: Session, several: Iterable[tuple[int, Subject, Choice]], chosen: Rules
) -> Iterator[Work]:
    """Of (item, terminal, choice). A terminal that stays as it is needs no day."""
    gateways = served.gateways(session)
    for identifier, subject, made in several:
        if made.path == paths.STAYS:
            continue
        billed = register_of(subject.kind) is not None or subject.asset_id in gateways
        yield Work(
            identifier, subject.area, subject.site_id, chosen.path(made.path).minutes,
            subject.row.access, billed, subject.sunset_day,
            (made.bearer, made.path, subject.kind),
        )  # fmt: skip


def schedule(session: Session, programme: MigrationProgramme, settings: WaveSettings) -> Made:
    """Give each planned item its wave and day. What is under way keeps its own."""
    chosen = rule_files.read(programme.rules, f"the rules of {programme.name}")
    rows = session.execute(
        select(
            MigrationItem.old_terminal_id, MigrationItem.id, MigrationItem.bearer,
            MigrationItem.path, MigrationItem.state,
        ).where(MigrationItem.programme_id == programme.id)
    )  # fmt: skip
    planned: dict[str, tuple[int, Choice]] = {}
    under_way = 0
    for terminal_id, identifier, bearer, path, state in rows:
        if state == PLANNED:
            planned[terminal_id] = identifier, Choice(bearer, path, "", "")
        else:
            under_way += 1
    numbered = (
        (planned[subject.row.terminal_id][0], subject, planned[subject.row.terminal_id][1])
        for subject in planner.subjects(session, programme.scope)
        if subject.row.terminal_id in planned
    )
    found = waves.make([*works(session, numbered, chosen)], settings)
    _keep(session, programme, found)
    kept = {**json.loads(programme.settings), "waves": wave_settings.dumps(settings)}
    programme.settings, programme.waved_us = json.dumps(kept), now_us()
    session.flush()
    return made(found, under_way)


def made(found: Waves, under_way: int) -> Made:
    """In numbers."""
    unplaced: dict[str, int] = {}
    for _, why in found.unplaced:
        unplaced[why] = unplaced.get(why, 0) + 1
    late = sum(one.late for one in found.placed)
    return Made(len(found.placed), unplaced, late, under_way)


def _keep(session: Session, programme: MigrationProgramme, found: Waves) -> None:
    session.execute(
        update(MigrationItem)
        .where(MigrationItem.programme_id == programme.id, MigrationItem.state == PLANNED)
        .values(wave=None, due_day=None)
    )
    for part in chunks(found.placed):
        session.execute(
            update(MigrationItem),
            [{"id": one.id, "wave": one.wave, "due_day": one.day} for one in part],
        )


def demands(several: Iterable[Chosen], chosen: Rules) -> Iterator[Demand]:
    """What those that go to NB-IoT ask of their cells."""
    today = now_us() // planner.DAY_US
    for subject, made_ in several:
        if made_.bearer != rule_files.NB:
            continue
        known = facts.of(subject, chosen, today)
        where, said = known.coverage, known.facts
        yield Demand(
            where.operator if where else subject.row.operator,
            (where.cell if where else "") or cells.named(subject.area),
            said["ecl"] or 0, said["reports_day"] or 1,
        )  # fmt: skip


def loads(session: Session, programme: MigrationProgramme) -> list[Load]:
    """Cells of a programme as it is planned."""
    chosen = rule_files.read(programme.rules, f"the rules of {programme.name}")
    rows = session.execute(
        select(MigrationItem.old_terminal_id, MigrationItem.bearer, MigrationItem.path).where(
            MigrationItem.programme_id == programme.id
        )
    )
    items = {terminal: Choice(bearer, path, "", "") for terminal, bearer, path in rows}
    several = (
        (subject, items[subject.row.terminal_id])
        for subject in planner.subjects(session, programme.scope)
        if subject.row.terminal_id in items
    )
    wanted = [*demands(several, chosen), *cells.of_nodes(session, programme.scope)]
    return cells.load(wanted, chosen.cells)


def steps(
    session: Session, programme: MigrationProgramme, number: str
) -> tuple[Subject | None, list[choice.Step]]:
    """How the rules were answered for one terminal, by its number."""
    chosen = rule_files.read(programme.rules, f"the rules of {programme.name}")
    subject = next(planner.subjects(session, programme.scope, number), None)
    if subject is None:
        return None, []
    return subject, choice.steps(subject, chosen, now_us() // planner.DAY_US)
