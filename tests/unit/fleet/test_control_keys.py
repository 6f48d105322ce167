"""Keys in the downlink queue: they lie in none, and go out while they are wanted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from ingest_rig import NODE, open_database

from fleet.control import operations as control
from fleet.control.operations import COMMAND, KEY, Item
from fleet.db.base import Database
from fleet.identity import contexts, oscore
from fleet.identity.secret import SecretBytes
from fleet.identity.wrapping import FileKey
from fleet.registry.operations import now_us
from fleet.wire import cbor


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def wrapper(tmp_path: Path) -> FileKey:
    return FileKey.create(tmp_path / "wrapping.key")


def pending(database: Database, wrapper: FileKey) -> list[Item]:
    """What NODE is given."""
    with database.read() as session:
        found = control.pending(session, wrapper, [NODE], now_us())
    return found[NODE].items if NODE in found else []


def command(database: Database) -> None:
    """Queue something else for NODE."""
    with database.begin() as session:
        control.enqueue(session, NODE, COMMAND, b"x")


def settle(database: Database, handled: int, refused: int = 0) -> None:
    with database.begin() as session:
        control.settle(session, {NODE: (handled, 0, refused)})


def rotate(database: Database, wrapper: FileKey) -> bytes:
    with database.begin() as session:
        return oscore.rotate(session, wrapper, NODE)


def test_a_key_is_joined_at_its_hand_over_and_lies_in_no_queue(
    database: Database, wrapper: FileKey, tmp_path: Path
) -> None:
    kid = rotate(database, wrapper)
    (item,) = pending(database, wrapper)
    assert (item.kind, isinstance(item.payload, SecretBytes)) == (KEY, True)
    found = cbor.decode(bytes(item.payload))
    assert isinstance(found, list)
    assert (found[0], len(found[1])) == (kid, 16)
    with database.read() as session:
        assert bytes(oscore.find(session, wrapper, [kid])[kid].secret) == found[1]
        assert control.item(session, wrapper, NODE, item.number, now_us()) == item
    assert found[1].hex() not in repr(item)
    database.close()
    for path in tmp_path.glob("kapok.db*"):
        assert found[1] not in path.read_bytes()


def test_a_key_is_queued_once_until_it_is_settled(database: Database, wrapper: FileKey) -> None:
    kid = rotate(database, wrapper)
    assert rotate(database, wrapper) == kid
    assert len(pending(database, wrapper)) == 1
    settle(database, 1, refused=1)
    assert rotate(database, wrapper) == kid
    assert [item.number for item in pending(database, wrapper)] == [2]


def test_a_key_that_is_in_use_or_revoked_is_not_handed_over(
    database: Database, wrapper: FileKey
) -> None:
    kid = rotate(database, wrapper)
    command(database)
    with database.begin() as session:
        context = oscore.find(session, wrapper, [kid])[kid]
        assert oscore.strike(session, [(context.id, 0, False)]) == [True]
    assert [item.kind for item in pending(database, wrapper)] == [COMMAND]
    rotate(database, wrapper)
    with database.begin() as session:
        oscore.revoke(session, NODE)
        assert contexts.next_contexts(session, wrapper, [NODE]) == {}
        assert control.item(session, wrapper, NODE, 1, now_us()) is None
    assert [item.kind for item in pending(database, wrapper)] == [COMMAND]
    settle(database, 2)  # the command; another key, of the revoked node, is open still
    with database.read() as session:
        assert control.pending(session, wrapper, [NODE], now_us()) == {}


def test_a_key_that_cannot_be_unwrapped_costs_no_receipt(
    database: Database, wrapper: FileKey, tmp_path: Path
) -> None:
    rotate(database, wrapper)
    command(database)
    (tmp_path / "wrapping.key").unlink()
    another = FileKey.create(tmp_path / "wrapping.key")
    with structlog.testing.capture_logs() as logs:
        assert [item.kind for item in pending(database, another)] == [COMMAND]
    assert [line["node"] for line in logs] == [NODE]
