"""Statements of persons and pages over rollouts of a city follow indexes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rollout_rig as rig
from rollout_rig import FAST, Fleet
from sqlalchemy import event, text

from fleet.rollouts import clearing, filling, lifecycle, listing, states
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 100)


def scans(fleet: Fleet, act: Callable[[], Any]) -> list[str]:
    """Steps of SQLite's plans that walk over all updates, or sort them."""
    made: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_more: Any) -> None:
        if "updates" in sql and not sql.startswith("INSERT"):
            made.append((sql, parameters))

    event.listen(fleet.database.engine, "before_cursor_execute", note)
    act()
    event.remove(fleet.database.engine, "before_cursor_execute", note)
    assert made
    found = []
    with fleet.database.read() as session:
        connection = session.connection()
        for sql, parameters in made:
            each = parameters[0] if isinstance(parameters, list) else parameters
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", each)
            found += [row.detail for row in plan]
    return [
        step
        for step in found
        if step.startswith("SCAN updates") or "TEMP B-TREE FOR ORDER" in step
    ]


def test_the_rig_sees_a_scan(fleet: Fleet) -> None:
    def walk() -> None:
        with fleet.database.read() as session:
            session.execute(text("SELECT count(*) FROM updates WHERE mark = 1"))

    assert scans(fleet, walk) == ["SCAN updates"]


def test_a_retry_and_pages_and_what_clears_up_walk_over_nothing(fleet: Fleet) -> None:
    fleet.create(canary=10, retries=0, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.FAILED)  # nobody said why
    fleet.tick()
    row = fleet.row()
    assert row.state == lifecycle.STOPPED
    assert scans(fleet, fleet.retry) == []
    assert len(fleet.updates(Update.reason == "retry")) == 10

    def pages() -> None:
        with fleet.database.read() as session:
            assert len(listing.parts(session, "one", after=5)) == 95
            listing.parts(session, "one", state=states.FAILED)
            listing.status(session, "one")

    assert scans(fleet, pages) == []
    assert scans(fleet, lambda: filling.clear(fleet.database, 99)) == []

    def drop() -> None:
        with fleet.database.begin() as session:
            clearing.drop_unmade(session, 99)
            clearing.end_scheduled(
                session, row.id, states.CANCELED, Actor.PERSON, "canceled", fleet.now
            )

    assert scans(fleet, drop) == []
