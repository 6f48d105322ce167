"""The ingest when the database is locked, full, gone or fails: no receipt, and nothing lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from fleet.db import sqlite
from fleet.db.base import Database
from fleet.db.sqlite import DatabaseGone
from fleet.registry import operations as registry
from fleet.telemetry import operations as telemetry
from fleet.uplink import ranges
from fleet.uplink.batch import Batch
from fleet.uplink.ingest import Ingest, Outcome
from fleet.uplink.message import Message
from fleet.uplink.tables import StoredSequences
from fleet.wire import cbor

WORST = 0xFFFFFFFF  # the highest epoch, sequence and time


class Node:
    """The least node: a journal that forgets what a receipt covers, and nothing else."""

    def __init__(self, node_id: str, count: int) -> None:
        self.node_id = node_id
        self.journal = set(range(1, count + 1))

    def contact(self, process: Callable[[list[Message]], list[Outcome]]) -> None:
        """One report, and the trim by its receipt."""
        if not self.journal:
            return
        payload = rig.make_report(1, sorted(self.journal)[:5])
        try:
            (outcome,) = process([rig.message(self.node_id, payload)])
        except SQLAlchemyError:
            return
        self.journal -= {n for _, n in rig.covered(outcome.receipt)}


class FailingCommits:
    """The first `times` commits of a database fail, as on a full disk."""

    def __init__(self, database: Database, times: int) -> None:
        self.left = times
        event.listen(database.engine, "commit", self._commit)

    def _commit(self, _connection: Connection) -> None:
        if self.left > 0:
            self.left -= 1
            raise OperationalError("COMMIT", None, Exception("database or disk is full"))


def test_a_failed_commit_gives_no_receipt_and_nothing_is_lost(
    ingest: Ingest, database: Database, node: str, path: Path
) -> None:
    FailingCommits(database, 3)
    sender = Node(node, 20)
    for _ in range(7):
        sender.contact(ingest.process)
    assert not sender.journal
    assert rig.stored(path) == {(node, 1, n): 1 for n in range(1, 21)}
    assert (ingest.counts["stored"], ingest.counts["readings"]) == (4, 20)


def test_a_full_disk_gives_no_receipt_and_then_takes_the_same_batch(
    ingest: Ingest, database: Database, path: Path
) -> None:
    """SQLite's own error, by a limit on the pages of the file."""
    limit = [0]

    @event.listens_for(database.engine, "checkout")
    def bound(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0] or 1 << 30}")

    nodes = rig.add_nodes(database, 19)
    ((pages,),) = rig.query(path, "PRAGMA page_count")
    limit[0] = pages
    batch = [rig.message(node, rig.make_report(1, range(1, 257))) for node in nodes]
    with pytest.raises(OperationalError, match="full"):
        ingest.process(batch)
    assert not rig.stored(path)
    limit[0] = 0
    assert set(rig.kinds(ingest.process(batch))) == {"stored"}
    assert len(rig.stored(path)) == 19 * 256


def test_a_locked_database_gives_no_receipt_and_then_takes_the_same_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    database = rig.open_database(tmp_path)
    (node,) = rig.add_nodes(database, 1)
    ingest = Ingest(database)
    batch = [rig.message(node, rig.make_report(1, [1, 2]))]
    with rig.writer_elsewhere(tmp_path / "kapok.db"), pytest.raises(OperationalError):
        ingest.process(batch)
    assert rig.kinds(ingest.process(batch)) == ["stored"]
    database.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_database_takes_nothing_more(
    ingest: Ingest, node: str, path: Path, replaced: bool
) -> None:
    """An open file that has no name any more would swallow commits: a receipt would be a lie."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    if replaced:
        path.write_bytes(aside.read_bytes())
    batch = [rig.message(node, rig.make_report(1, [1]))]
    with pytest.raises(DatabaseGone, match="deleted or replaced"):
        ingest.process(batch)
    aside.replace(path)
    assert rig.kinds(ingest.process(batch)) == ["stored"]


def test_a_database_that_goes_between_statement_and_commit_gives_no_receipt(
    ingest: Ingest, node: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = telemetry.store

    def then_it_goes(*arguments: Any) -> int:
        n = store(*arguments)
        path.rename(path.with_suffix(".aside"))
        return n

    monkeypatch.setattr(telemetry, "store", then_it_goes)
    batch = [rig.message(node, rig.make_report(1, [1]))]
    with pytest.raises(DatabaseGone):
        ingest.process(batch)
    path.with_suffix(".aside").rename(path)
    assert not rig.stored(path)
    monkeypatch.undo()
    assert rig.kinds(ingest.process(batch)) == ["stored"]


def test_a_failure_amid_single_messages_can_be_tried_again(
    ingest: Ingest, database: Database, path: Path
) -> None:
    """A poisoned batch is taken apart; the disk fills in the middle of it; then all is retried."""
    good, bad = rig.add_nodes(database, 2)
    rig.without_its_asset(path, bad)
    batch = [rig.message(n, rig.make_report(1, [i])) for i in (1, 2) for n in (good, bad)]
    commits = FailingCommits(database, 0)
    process = ingest.process
    calls = [0]

    def counted(messages: list[Message]) -> list[Outcome]:
        calls[0] += 1
        if calls[0] == 3:
            commits.left = 1
        return process(messages)

    ingest.process = counted  # type: ignore[method-assign]
    with pytest.raises(OperationalError):
        process(batch)
    assert set(rig.stored(path)) == {(good, 1, 1)}
    outcomes = process(batch)
    assert rig.kinds(outcomes) == ["repeated", "poison", "stored", "poison"]
    assert rig.stored(path) == {(good, 1, 1): 1, (good, 1, 2): 1}


# --- sabotage: the tests above see what they claim to see ------------------------------------


def test_sabotage_without_deduplication_repeats_are_stored_twice(
    ingest: Ingest, node: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "contains", lambda _ranges, _number: False)
    batch = [rig.message(node, rig.make_report(1, [1, 2]))]
    ingest.process(batch)
    ingest.process(batch)
    assert set(rig.stored(path).values()) == {2}


class Hasty(Ingest):
    """Gives its receipts before the commit, and hopes."""

    def process(self, messages: list[Message]) -> list[Outcome]:
        """As the real one, but what the commit says comes too late."""
        outcomes: list[Outcome] = []
        write = Batch.write

        def overheard(batch: Batch, session: Session) -> tuple[list[Outcome], int]:
            found, readings = write(batch, session)
            outcomes.extend(found)
            return found, readings

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Batch, "write", overheard)
            try:
                return super().process(messages)
            except SQLAlchemyError:
                return outcomes


def test_sabotage_a_receipt_before_the_commit_loses_records(
    database: Database, node: str, path: Path
) -> None:
    FailingCommits(database, 3)
    sender = Node(node, 20)
    hasty = Hasty(database)
    for _ in range(7):
        sender.contact(hasty.process)
    assert not sender.journal
    assert len(rig.stored(path)) == 5, "three receipts were given for what was not committed"


def test_sabotage_a_writer_that_began_as_a_reader_cannot_wait(
    database: Database, node: str
) -> None:
    """BEGIN IMMEDIATE is what lets two writers queue: with a plain BEGIN the second one fails."""

    def raced(begin: Callable[[], Any]) -> None:
        with begin() as session:
            registry.show_node(session, node)
            with Database(str(database.engine.url)).begin() as other:
                registry.set_state(other, node, "quarantined")
            registry.set_state(session, node, "active")
            session.commit()

    with pytest.raises(OperationalError, match="locked"):
        raced(database.read)


def test_a_writer_holds_the_lock_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    database = rig.open_database(tmp_path)
    other = Database(str(database.engine.url))
    with database.begin():
        with pytest.raises(OperationalError, match="locked"), other.begin():
            pass
        with other.read() as session:
            assert registry.list_nodes(session) == []  # a reader waits for nobody
    with other.begin():
        pass
    database.close()
    other.close()


def test_stored_ranges_are_the_one_form_of_the_set(
    ingest: Ingest, node: str, database: Database
) -> None:
    for sequences in ([5, 6], [1, 2], [3], [8], [4]):
        ingest.process([rig.message(node, rig.make_report(1, sequences))])
    with database.read() as session:
        row = session.get(StoredSequences, (node, 1))
        assert row is not None
        assert cbor.decode(row.ranges) == [1, 6, 8, 8]
