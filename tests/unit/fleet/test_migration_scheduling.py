"""Waves of a programme in the database: who has no day, and what a billing freeze leaves alone."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import ledger_rig
import migration_rig as rig
import pytest
from sqlalchemy import select

from fleet.db.base import Database
from fleet.migration import planner, preflight, scheduling
from fleet.migration.desk import Office
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.states import Actor
from fleet.migration.swap_tables import WorkOrder
from fleet.migration.tables import MigrationItem
from fleet.migration.wave_settings import WaveSettings
from fleet.registry import legacy_behind
from fleet.registry.legacy_behind import Meter

MONDAY = (date(2026, 11, 30) - date(1970, 1, 1)).days


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_city(tmp_path)
    yield opened
    opened.close()


def planned(database: Database, folder: Path, *lines: dict[str, Any]) -> None:
    rig.bring(database, folder, lines)
    rig.measure(database, folder, [rig.heard(terminal=one["terminal"]) for one in lines])
    rig.plan(database)


def days(database: Database, **settings: Any) -> dict[str, int | None]:
    """By the number of a terminal its day."""
    chosen = WaveSettings(start=MONDAY, canary=0, watch=0, **settings)
    with database.begin() as session:
        scheduling.schedule(session, planner.get(session, "gas"), chosen)
        rows = session.execute(
            select(LegacyTerminal.number, MigrationItem.due_day).join(
                MigrationItem, MigrationItem.old_terminal_id == LegacyTerminal.terminal_id
            )
        )
        return {number: day for number, day in rows}  # noqa: C416  # rows are no pairs to mypy


STAYS = {"power": "mains", "latency s": 3600}


def test_who_stays_behind_his_master_station_has_no_day_and_takes_none(
    database: Database, tmp_path: Path
) -> None:
    lines = [rig.line(n, **STAYS) for n in range(1, 9)]
    planned(database, tmp_path, *lines, rig.line(9))
    found = days(database, remote=1)
    assert {number for number, day in found.items() if day is not None} == {"T9"}


def test_who_stays_is_never_ready_and_gets_no_order(database: Database, tmp_path: Path) -> None:
    planned(database, tmp_path, rig.line(1, **STAYS))
    with database.begin() as session:
        desk = Office(database, ledger_rig.signer()).desk(session, Actor.FLEET)
        (item,) = session.scalars(select(MigrationItem))
        assert item.path == "master-station"
        assert preflight.make_ready(desk, [item.id]) == []
        assert preflight.standing(desk, [item.id])[item.id].missing == ("master-station",)
        assert session.scalars(select(WorkOrder)).all() == []


@pytest.mark.parametrize("meters", [True, False])
def test_a_freeze_holds_for_meters_behind_a_terminal(
    database: Database, tmp_path: Path, meters: bool
) -> None:
    """Without meters (the sabotage) the same box is touched within the freeze."""
    planned(database, tmp_path, rig.line(1, kind="gateway"))
    if meters:
        with database.begin() as session:
            terminal = session.scalars(select(LegacyTerminal.terminal_id)).one()
            legacy_behind.put(session, Meter(terminal, "E1", "electricity-meter", "1" * 12))
    found = days(database, freeze=("28-3",))
    assert found == {"T1": MONDAY + 4 if meters else MONDAY}
