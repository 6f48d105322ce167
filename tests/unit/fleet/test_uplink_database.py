"""The database locked, full, failing or gone: nothing is receipted that is not on disk."""

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from ingest_rig import NODE, message, once, open_database, report_of, stored
from sqlalchemy import event, exc, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from fleet.db import sqlite
from fleet.db.base import Database, is_trouble
from fleet.db.sqlite import DatabaseGone
from fleet.uplink.batch import Batch
from fleet.uplink.ingest import Ingest, Outcome
from fleet.uplink.message import Message
from fleet.wire import receipt


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(sqlite, "BUSY_MS", 50)
    database = open_database(tmp_path)
    yield database
    database.close()


def receipted(outcomes: list[Outcome]) -> set[int]:
    """The sequence numbers that these receipts let a node forget."""
    found = set()
    for outcome in outcomes:
        if outcome.receipt:
            for first, last in receipt.decode(outcome.receipt).ranges:
                found |= set(range(first, last + 1))
    return found


def batch(first: int, count: int = 5) -> list[Message]:
    return [message(report_of([n])) for n in range(first, first + count)]


def test_connections_are_durable(database: Database) -> None:
    with database.begin() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_locked_database_takes_nothing_and_then_all(tmp_path: Path, database: Database) -> None:
    ingest = Ingest(database)
    with closing(sqlite3.connect(tmp_path / "kapok.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OperationalError, match="locked"):
            ingest.process(batch(1))
        other.execute("ROLLBACK")
    assert stored(tmp_path) == []
    assert receipted(ingest.process(batch(1))) == {1, 2, 3, 4, 5}
    assert stored(tmp_path) == once(NODE, range(1, 6))


def test_a_full_database_takes_nothing_and_then_all(tmp_path: Path, database: Database) -> None:
    ingest = Ingest(database)
    ingest.process(batch(1))
    taken: set[int] = set()

    def fill() -> None:
        for first in range(100, 20_000, 200):
            taken.update(
                receipted(ingest.process([message(report_of(range(first, first + 200)))]))
            )

    with limited_pages(database), pytest.raises(OperationalError, match="full"):
        fill()
    assert stored(tmp_path) == once(NODE, taken | {1, 2, 3, 4, 5})
    ingest.process([message(report_of(range(100, 300)))])
    assert stored(tmp_path) == once(NODE, taken | {1, 2, 3, 4, 5} | set(range(100, 300)))


@contextmanager
def limited_pages(database: Database) -> Iterator[None]:
    """A disk with hardly a free page, as SQLite sees it."""

    def limit(connection: Any, _record: object, _proxy: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        current = connection.execute("PRAGMA max_page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={min(current, pages + 2)}")

    event.listen(database.engine.pool, "checkout", limit)
    yield
    event.remove(database.engine.pool, "checkout", limit)
    database.engine.dispose()


def test_a_commit_that_fails_gives_no_receipt(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_self: Session) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    ingest = Ingest(database)
    with monkeypatch.context() as patched:
        patched.setattr("sqlalchemy.orm.session.SessionTransaction.commit", fails)
        with pytest.raises(OperationalError, match="disk I/O"):
            ingest.process(batch(1))
    assert stored(tmp_path) == []
    assert receipted(ingest.process(batch(1))) == {1, 2, 3, 4, 5}
    assert stored(tmp_path) == once(NODE, range(1, 6))


def test_a_commit_that_succeeds_and_says_it_failed_stores_once(
    tmp_path: Path, database: Database
) -> None:
    """The answer to a COMMIT may be lost: the batch is tried again and is a repeat."""
    ingest = Ingest(database)
    commit = ingest._commit

    def answer_lost(messages: list[Message]) -> Any:
        commit(messages)
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("connection lost"))

    ingest._commit = answer_lost  # type: ignore[method-assign]
    with pytest.raises(OperationalError):
        ingest.process(batch(1))
    ingest._commit = commit  # type: ignore[method-assign]
    outcomes = ingest.process(batch(1))
    assert {o.kind for o in outcomes} == {"repeated"}
    assert receipted(outcomes) == {1, 2, 3, 4, 5}
    assert stored(tmp_path) == once(NODE, range(1, 6))


def test_a_deleted_database_takes_nothing(tmp_path: Path, database: Database) -> None:
    """SQLite would go on committing into a file that has no name any more."""
    ingest = Ingest(database)
    ingest.process(batch(1))
    for file in tmp_path.glob("kapok.db*"):
        file.unlink()
    for _ in range(2):
        with pytest.raises(DatabaseGone, match="deleted or replaced"):
            ingest.process(batch(10))
    assert list(tmp_path.glob("kapok.db*")) == []  # nor does it make an empty one


def test_a_database_moved_away_and_back_goes_on(tmp_path: Path, database: Database) -> None:
    ingest = Ingest(database)
    ingest.process(batch(1))
    away = tmp_path / "away"
    away.mkdir()
    files = list(tmp_path.glob("kapok.db*"))
    for file in files:
        file.rename(away / file.name)
    with pytest.raises(DatabaseGone):
        ingest.process(batch(10))
    for file in files:
        (away / file.name).rename(file)
    ingest.process(batch(10))
    assert stored(tmp_path) == once(NODE, [*range(1, 6), *range(10, 15)])


def test_a_database_replaced_by_a_copy_is_refused(tmp_path: Path, database: Database) -> None:
    ingest = Ingest(database)
    ingest.process(batch(1))
    shutil.copy(tmp_path / "kapok.db", tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / "kapok.db")
    with pytest.raises(DatabaseGone):
        ingest.process(batch(10))


def test_a_database_deleted_before_the_commit_gives_no_receipt(
    tmp_path: Path, database: Database
) -> None:
    ingest = Ingest(database)
    gone = [file for file in tmp_path.glob("kapok.db") if file.exists()]

    def unlink(*_: object) -> None:
        for file in gone:
            file.unlink(missing_ok=True)

    event.listen(database.engine, "after_cursor_execute", unlink)
    with pytest.raises(DatabaseGone):
        ingest.process(batch(1))


def test_sabotage_without_the_guard_a_deleted_database_gives_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.db.sqlite._File.guard", lambda _self, _engine: None)
    database = open_database(tmp_path)
    with closing(database):
        ingest = Ingest(database)
        ingest.process(batch(1))
        for file in tmp_path.glob("kapok.db*"):
            file.unlink()
        assert receipted(ingest.process(batch(10)))  # for readings that nobody has


def test_sabotage_receipts_before_the_commit_lose_readings(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node forgets what the receipt covers; the commit then fails."""
    waiting = {n: report_of([n]) for n in range(1, 6)}
    ingest = Ingest(database)
    early: list[Outcome] = []

    def commit_last(messages: list[Message]) -> Any:
        with database.begin() as session:
            outcomes, _readings = Batch(messages, None).write(session)
            early.extend(outcomes)  # sabotage: told before it is true
            raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    monkeypatch.setattr(ingest, "_commit", commit_last)
    with pytest.raises(SQLAlchemyError):
        ingest.process([message(payload) for payload in waiting.values()])
    for n in receipted(early):
        del waiting[n]
    monkeypatch.undo()
    Ingest(database).process([message(payload) for payload in waiting.values()])
    assert stored(tmp_path) != once(NODE, range(1, 6))


@pytest.mark.parametrize("in_turn", [True, False])
def test_sabotage_without_turns_a_thread_gives_up_that_another_holds_up(
    database: Database, in_turn: bool
) -> None:
    """A writer that takes longer than SQLite waits is waited for within one process."""
    if not in_turn:
        database._turn = nullcontext()
    held = threading.Event()

    def hold() -> None:
        with database.begin():
            held.set()
            time.sleep(sqlite.BUSY_MS * 4 / 1000)  # what takes its time is the disk

    def wait() -> str:
        held.wait(30)
        try:
            with database.begin():
                return "wrote"
        except OperationalError as e:
            return str(e.orig)

    with ThreadPoolExecutor() as pool:
        pool.submit(hold)
        said = pool.submit(wait).result()
    assert said == ("wrote" if in_turn else "database is locked")


def test_a_turn_that_never_comes_is_the_databases_trouble(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a pool without a free connection: the batch is tried again, and nothing is refused."""
    monkeypatch.setattr(sqlite, "TURN_S", 0.05)
    ingest = Ingest(database)
    with database.begin(), ThreadPoolExecutor() as pool:
        refused = pool.submit(ingest.process, batch(1)).exception()
    assert isinstance(refused, exc.TimeoutError)
    assert is_trouble(refused)
    assert str(refused) == "the database was busy for 0.05 s: try again"
    assert stored(tmp_path) == []
    assert receipted(ingest.process(batch(1))) == {1, 2, 3, 4, 5}
