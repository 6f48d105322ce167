"""Waves and items of a programme, to be listed."""

from typing import Any, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from fleet.migration import rules as rule_files
from fleet.migration.inventory_tables import InventoryFault, LegacyTerminal
from fleet.migration.summary import hours, iso_day
from fleet.migration.tables import PLANNED, MigrationItem, MigrationProgramme
from fleet.registry.tables import Asset, Site

HEADINGS = ["wave", "first day", "last day", "terminals", "visits", "hours", "streets", "begun"]
PAGE = 1000


class Wave(NamedTuple):
    """`begun`: how many of its items are not planned any more."""

    number: int
    first_day: int
    last_day: int
    terminals: int
    visits: int
    minutes: int
    areas: int
    begun: int

    def row(self) -> list[str]:
        """For a table with HEADINGS."""
        return [
            str(self.number), iso_day(self.first_day), iso_day(self.last_day),
            str(self.terminals), str(self.visits), hours(self.minutes), str(self.areas),
            str(self.begun),
        ]  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """The same, days as ISO 8601."""
        days = {"first_day": iso_day(self.first_day), "last_day": iso_day(self.last_day)}
        return {**self._asdict(), **days}


class Item(NamedTuple):
    """One terminal's part as lists show it; `faults`: codes of its inventory."""

    id: int
    terminal: str
    terminal_id: str
    asset: str
    asset_id: int
    area: str
    bearer: str
    path: str
    because: str
    wave: int | None
    due_day: int | None
    state: str
    faults: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same, the day as ISO 8601."""
        return {**self._asdict(), "due_day": iso_day(self.due_day)}


def waves(session: Session, programme: MigrationProgramme) -> list[Wave]:
    """All of a programme."""
    chosen = rule_files.read(programme.rules, f"the rules of {programme.name}")
    minutes = {one.name: one.minutes for one in chosen.paths}
    work = case(minutes, value=MigrationItem.path, else_=0)
    rows = session.execute(
        select(
            MigrationItem.wave, func.min(MigrationItem.due_day), func.max(MigrationItem.due_day),
            func.count(), func.sum(case((work > 0, 1), else_=0)), func.sum(work),
            func.count(Site.area_code.distinct()),
            func.sum(case((MigrationItem.state != PLANNED, 1), else_=0)),
        )
        .join(Asset, Asset.id == MigrationItem.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(MigrationItem.programme_id == programme.id, MigrationItem.wave.is_not(None))
        .group_by(MigrationItem.wave)
        .order_by(MigrationItem.wave)
    )  # fmt: skip
    return [Wave._make(row) for row in rows]


def items(
    session: Session, programme: MigrationProgramme, after: int = 0, limit: int = PAGE,
    wave: int | None = None, bearer: str = "", number: str = "",
) -> list[Item]:  # fmt: skip
    """Items by id, those behind `after`; of a wave, a bearer, a terminal's number."""
    query = (
        select(MigrationItem, LegacyTerminal.number, Asset.name, Site.area_code)
        .outerjoin(LegacyTerminal, LegacyTerminal.terminal_id == MigrationItem.old_terminal_id)
        .join(Asset, Asset.id == MigrationItem.asset_id)
        .join(Site, Site.id == Asset.site_id)
        .where(MigrationItem.programme_id == programme.id, MigrationItem.id > after)
        .order_by(MigrationItem.id)
        .limit(min(limit, PAGE))
    )
    for column, wanted in (
        (MigrationItem.wave, wave), (MigrationItem.bearer, bearer or None),
        (LegacyTerminal.number, number or None),
    ):  # fmt: skip
        if wanted is not None:
            query = query.where(column == wanted)
    rows = session.execute(query).all()
    faults: dict[str, list[str]] = {}
    ids = [row[0].old_terminal_id for row in rows]
    for terminal_id, code in session.execute(
        select(InventoryFault.terminal_id, InventoryFault.code)
        .where(InventoryFault.terminal_id.in_(ids))
        .order_by(InventoryFault.code)
    ):
        faults.setdefault(terminal_id, []).append(code)
    return [
        Item(
            item.id, number_ or item.old_terminal_id, item.old_terminal_id, asset, item.asset_id,
            area, item.bearer, item.path, item.because, item.wave, item.due_day, item.state,
            tuple(faults.get(item.old_terminal_id, ())),
        )
        for item, number_, asset, area in rows
    ]  # fmt: skip


def programmes(session: Session) -> list[tuple[str, str, int]]:
    """(name, area, items) of all programmes."""
    rows = session.execute(
        select(MigrationProgramme.name, MigrationProgramme.scope, func.count(MigrationItem.id))
        .outerjoin(MigrationItem, MigrationItem.programme_id == MigrationProgramme.id)
        .group_by(MigrationProgramme.id)
        .order_by(MigrationProgramme.name)
        .limit(PAGE)
    )
    return [(name, scope, count) for name, scope, count in rows]
