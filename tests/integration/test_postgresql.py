"""On PostgreSQL: the schema's way there, its guards, a small town that moves, and readings that
become visible in another order than that of their ids.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import postgres_rig
import pytest
from alembic import command
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from fleet.bridge.keys import Keys
from fleet.bridge.north import outbox
from fleet.bridge.north.targets import BEGINNING, WEBHOOK, Target
from fleet.bridge.tables import BridgeMessage
from fleet.db.base import Database
from fleet.db.migrate import config
from fleet.migration import guards
from fleet.telemetry import operations as telemetry
from fleet.telemetry import order
from tests.bench import migration

pytestmark = pytest.mark.skipif(bool(postgres_rig.missing()), reason=postgres_rig.missing() or "-")


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_rig.server() as made:
        command.upgrade(config(made), "head")
        yield made


def test_a_small_town_moves_on_postgresql(url: str, tmp_path: Path) -> None:
    result = migration.run(tmp_path, 16, kills=2, rollbacks=2, url=url)
    told = migration.tell(result)
    assert result.is_well, told
    assert result.kills == 2
    assert result.rehearsed.verdict.lines > 10, told
    database = Database(url)
    try:
        for statement in (
            "UPDATE bill_lines SET to_index = to_index + 1",
            "DELETE FROM bill_lines",
            "UPDATE evidence SET body = '{}'",
            "DELETE FROM evidence",
            "DELETE FROM register_segments",
            "UPDATE register_segments SET base_index = base_index + 1",
        ):
            with (
                pytest.raises(DBAPIError, match=r"on record|only ended|is billed"),
                database.begin() as own,
            ):
                own.execute(text(statement))
        with database.read() as session:
            names = set(
                session.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"))
            )
        assert set(guards.names()) <= names
    finally:
        database.close()


def measured(session: Session, value: int) -> None:
    """A reading of an asset that need not be there."""
    session.execute(text("SET LOCAL session_replication_role = replica"))
    telemetry.store(session, [telemetry.New(1, "t1", 2, value, value, 0, 2, value)])


def waits_for_writers(database: Database) -> bool:
    with database.read() as session:
        asked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(session.scalar(asked))


def told_of_two(url: str) -> list[int]:
    """Times of what is queued where the reading with the lower id is committed last."""
    database = Database(url)
    target = Target(
        "city", WEBHOOK, Keys({}, "", Path("city.toml")), 5, BEGINNING, "", (0,), (), ()
    )

    def scan() -> None:
        with database.begin() as session:
            outbox.scan(session, target, {}, 1)

    try:
        with database.begin() as session:
            outbox.open_target(session, target)
        scanning = threading.Thread(target=scan, daemon=True)
        with database.begin() as first:
            measured(first, 1)
            with database.begin() as second:
                measured(second, 2)
            scanning.start()
            end = time.monotonic() + 30
            while scanning.is_alive() and not waits_for_writers(database):
                assert time.monotonic() < end
                time.sleep(0.01)
        scanning.join(30)
        scan()
        with database.read() as session:
            return sorted(session.scalars(select(BridgeMessage.time_us)))
    finally:
        database.close()


def test_a_reading_that_is_committed_behind_a_later_one_is_told(url: str) -> None:
    assert told_of_two(url) == [1, 2]


def test_sabotage_who_does_not_wait_for_writers_leaves_readings_out(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "settled", lambda _session: None)
    assert told_of_two(url) == [2]
