"""On PostgreSQL: the schema's way there, its guards, a small town that moves, and readings that
become visible in another order than that of their ids.
"""

import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig
import ledger_rig
import postgres_rig
import pytest
from alembic import command
from sqlalchemy import NullPool, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from fleet.bridge.keys import Keys
from fleet.bridge.north import outbox
from fleet.bridge.north.targets import BEGINNING, WEBHOOK, Target
from fleet.bridge.tables import BridgeMessage
from fleet.db.base import Database
from fleet.db.migrate import config
from fleet.migration import audit, billing, guards, ledger, reads
from fleet.telemetry import operations as telemetry
from fleet.telemetry import order
from tests.bench import migration

pytestmark = pytest.mark.skipif(bool(postgres_rig.missing()), reason=postgres_rig.missing() or "-")


@pytest.fixture(scope="module")
def migrated() -> Iterator[str]:
    """The URL of a database with the schema, of which each test has a copy."""
    with postgres_rig.server() as made:
        command.upgrade(config(made), "head")
        yield made


@pytest.fixture
def url(migrated: str, request: pytest.FixtureRequest) -> str:
    name = f"of_{zlib.crc32(request.node.name.encode())}"
    # Nobody may be connected to what is copied.
    engine = create_engine(migrated.replace("/postgres?", "/template1?"), poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE postgres"))
    return migrated.replace("/postgres?", f"/{name}?")


def test_a_small_town_moves_on_postgresql(url: str, tmp_path: Path) -> None:
    result = migration.run(tmp_path, 10, kills=2, rollbacks=2, url=url)
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


@pytest.fixture
def town(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ledger_rig.Town]:
    """A meter whose new terminal passed the gate."""
    monkeypatch.setattr(fleet_rig, "open_database", lambda _: Database(url))
    monkeypatch.setattr(ledger_rig, "_hasty", lambda *_: None)
    made = ledger_rig.Town(tmp_path)
    made.days(3, made.old())
    made.ready()
    new = made.add_terminal(since=998_000)
    made.now += ledger_rig.HOUR
    made.install(new)
    made.days(4, made.old(), new)
    assert made.judge()[0].passed
    yield made
    made.close()


def _cuts_over_meanwhile(
    town: ledger_rig.Town, monkeypatch: pytest.MonkeyPatch
) -> threading.Thread:
    """As soon as a freeze has read where the register stands, somebody else cuts over: until he
    has done so, or waits for a lock.
    """
    other = threading.Thread(target=town.cut_over)

    def waits() -> bool:
        with town.database.read() as session:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            return bool(session.scalar(text(query)))

    def fetch(*given: Any) -> Any:
        if other.ident is None:
            other.start()
            while other.is_alive() and not waits():
                time.sleep(0.01)
        return reads.fetch(*given)

    monkeypatch.setattr(billing, "fetch", fetch)
    return other


def test_who_freezes_and_who_cuts_over_wait_for_each_other(
    town: ledger_rig.Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = _cuts_over_meanwhile(town, monkeypatch)
    town.freeze()
    other.join()
    assert [one.number for one in town.segments()] == [0, 1]
    town.days(1, town.segments()[-1].terminal_id)
    town.freeze()
    assert town.lines()[-1].to_index == town.flowed[town.assets[0]]
    found = audit.audit(town.database, "2g", ledger_rig.keys())
    assert found.breach is None, found.breach.line()


def test_sabotage_without_the_lock_the_database_refuses_the_late_line(
    town: ledger_rig.Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "hold", lambda *_: None)
    other = _cuts_over_meanwhile(town, monkeypatch)
    town.days(1, town.old())  # the old one told more than the new one
    with pytest.raises(DBAPIError, match="had ended before"):
        town.freeze()
    other.join()
    assert town.lines() == []
