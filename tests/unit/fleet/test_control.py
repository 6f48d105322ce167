"""The downlink queue: order, hand-over, settling, and keys that lie in no queue."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ingest_rig import NODE, OTHER, node_ids, open_database

from fleet.control import operations as control
from fleet.control.errors import ControlError
from fleet.control.history import list_
from fleet.control.operations import COMMAND, CONFIG, UPDATE, Item, Pending
from fleet.db.base import Database
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


def enqueue(
    database: Database,
    payload: bytes,
    *,
    node_id: str = NODE,
    kind: int = COMMAND,
    expires_us: int | None = None,
) -> int:
    with database.begin() as session:
        return control.enqueue(session, node_id, kind, payload, expires_us)


def pending(database: Database, wrapper: FileKey, at: int | None = None) -> Pending:
    """What NODE is given."""
    with database.read() as session:
        found = control.pending(session, wrapper, [NODE], now_us() if at is None else at)
    return found.get(NODE, Pending([], 0))


def settle(database: Database, handled: int, applied: int = 0, refused: int = 0) -> None:
    with database.begin() as session:
        control.settle(session, {NODE: (handled, applied, refused)})


def states(database: Database) -> dict[int, str]:
    with database.read() as session:
        return {one.number: one.state for one in list_(session, NODE)}


def test_items_come_oldest_first_eight_at_a_time(database: Database, wrapper: FileKey) -> None:
    numbers = [enqueue(database, bytes((n,))) for n in range(11)]
    assert numbers == list(range(1, 12))
    items = [Item(n + 1, COMMAND, bytes((n,))) for n in range(8)]
    assert pending(database, wrapper) == Pending(items, 3)
    settle(database, 4)
    assert [item.number for item in pending(database, wrapper).items] == list(range(5, 12))
    assert pending(database, wrapper).waiting == 0
    settle(database, 11)
    assert pending(database, wrapper) == Pending([], 0)


def test_nodes_are_apart(database: Database, wrapper: FileKey) -> None:
    assert enqueue(database, b"a") == enqueue(database, b"b", node_id=OTHER) == 1
    with database.begin() as session:
        found = control.pending(session, wrapper, [NODE, OTHER, "0000000000"], now_us())
        assert found == {
            NODE: Pending([Item(1, COMMAND, b"a")], 0),
            OTHER: Pending([Item(1, COMMAND, b"b")], 0),
        }
        control.settle(session, {OTHER: (1, 0, 0)})
        assert list(control.pending(session, wrapper, [NODE, OTHER], now_us())) == [NODE]
        assert control.pending(session, wrapper, [], now_us()) == {}


def test_an_item_expires(database: Database, wrapper: FileKey) -> None:
    soon = now_us() + 60_000_000
    number = enqueue(database, b"open", expires_us=soon)
    assert [item.number for item in pending(database, wrapper, soon - 1).items] == [number]
    assert pending(database, wrapper, soon) == Pending([], 0)
    with database.read() as session:
        assert control.item(session, wrapper, NODE, number, soon - 1) is not None
        assert control.item(session, wrapper, NODE, number, soon) is None


def test_a_newer_patch_does_not_drop_an_older_one(database: Database, wrapper: FileKey) -> None:
    patches = [cbor.encode({"a": 1}), cbor.encode({"a": None, "b": 2})]
    for patch in patches:
        enqueue(database, patch, kind=CONFIG)
    assert [item.payload for item in pending(database, wrapper).items] == patches


def test_the_states_of_an_item(database: Database) -> None:
    expired = enqueue(database, b"x", expires_us=1)
    numbers = [enqueue(database, bytes((n,)), kind=UPDATE) for n in range(5)]
    with database.begin() as session:
        control.handed(session, {NODE: numbers[:4], OTHER: [1]}, 1000)
        control.handed(session, {NODE: numbers[:1]}, 2000)  # the first time counts
        control.handed(session, {}, 3000)
    settle(database, numbers[1], refused=numbers[0])
    assert states(database) == {
        expired: "expired", numbers[0]: "refused", numbers[1]: "settled", numbers[2]: "handed",
        numbers[3]: "handed", numbers[4]: "queued",
    }  # fmt: skip
    with database.read() as session:
        listed = {one.number: one for one in list_(session, NODE)}
        assert [one.number for one in list_(session, NODE, limit=2)] == numbers[-2:]
    assert [listed[n].handed_us for n in numbers] == [1000, 1000, 1000, 1000, None]
    assert [listed[n].settled_us is not None for n in numbers] == [True, True, False, False, False]
    assert (listed[numbers[0]].kind, listed[numbers[0]].size) == ("update", 1)


def test_what_a_node_told_is_kept(database: Database) -> None:
    enqueue(database, b"x")
    settle(database, 3, 2, 1)
    settle(database, 0)  # nothing told: nothing changes
    with database.read() as session:
        assert control.progress(session, NODE) == (3, 2, 1)
        assert control.progress(session, OTHER) == (0, 0, 0)


def test_a_node_that_is_ahead_of_a_restored_database_gets_numbers_that_it_takes(
    database: Database,
) -> None:
    settle(database, 40)
    assert enqueue(database, b"x") == 41
    settle(database, 77)
    assert enqueue(database, b"x") == 78


@pytest.mark.parametrize("told", [2**31, 2**31 - 1, 2**70, -1, 5_000_000])
def test_attack_a_node_that_tells_numbers_without_sense(
    database: Database, wrapper: FileKey, told: int
) -> None:
    """It would use up its numbers, or settle what it never saw."""
    enqueue(database, b"x")
    for numbers in ((told, 0, 0), (1, told, 0), (1, 0, told)):
        settle(database, *numbers)
    assert [item.number for item in pending(database, wrapper).items] == [1]
    assert enqueue(database, b"x") == 2


def test_attack_a_queue_without_end(database: Database) -> None:
    for _ in range(control.MAX_OPEN):
        enqueue(database, b"x")
    with pytest.raises(ControlError, match="64 downlinks wait"):
        enqueue(database, b"x")
    settle(database, 1)
    enqueue(database, b"x")


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        (6, b"", "no such kind"),
        (0, b"", "no such kind"),
        (COMMAND, bytes(8193), "8193 bytes: 8192 at most"),
        (CONFIG, b"", "strict CBOR"),
        (CONFIG, cbor.encode([1]), "strict CBOR"),
        (CONFIG, cbor.encode({1: 1}), "strict CBOR"),
    ],
)
def test_what_cannot_be_queued(database: Database, kind: int, payload: bytes, says: str) -> None:
    with pytest.raises(ControlError, match=says):
        enqueue(database, payload, kind=kind)
    assert states(database) == {}


def test_many_at_once_get_numbers_without_gap(database: Database, tmp_path: Path) -> None:
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.append(enqueue(database, b"x"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(numbers) == list(range(1, 9))


step = st.one_of(
    st.tuples(st.just("enqueue"), st.integers(0, 0)),
    st.tuples(st.just("hand"), st.integers(0, 0)),
    st.tuples(st.just("report"), st.integers(0, 12)),
)


@given(st.lists(step, max_size=25))
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_node_sees_every_item_once_and_in_order(
    database: Database, wrapper: FileKey, steps: list[tuple[str, int]]
) -> None:
    """A node that keeps the highest number handled, and may lose any answer."""
    node_id = fresh_nodes.pop()
    queued, taken, handled = 0, list[int](), 0
    for action, number in steps:
        with database.begin() as session:
            if action == "enqueue":
                queued = control.enqueue(session, node_id, COMMAND, b"x")
            elif action == "hand":
                given_items = control.pending(session, wrapper, [node_id], now_us())
                items = given_items.get(node_id, Pending([], 0)).items
                control.handed(session, {node_id: [item.number for item in items]}, now_us())
                taken += [item.number for item in items if item.number > handled]
                handled = max([handled, *taken])
            else:  # a report that is late tells an older number
                control.settle(session, {node_id: (min(number, handled), 0, 0)})
    with database.begin() as session:
        control.settle(session, {node_id: (handled, 0, 0)})
        left = control.pending(session, wrapper, [node_id], now_us()).get(node_id, Pending([], 0))
    waiting = [item.number for item in left.items]
    assert taken + waiting == list(range(1, len(taken) + len(waiting) + 1))
    assert len(taken) + len(waiting) + left.waiting == queued


fresh_nodes = node_ids(2000, 0x30AEA4300000)
