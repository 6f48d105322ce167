"""Items in receipts: what waits for a node rides on its answers until the node settles it."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from claim_rig import Node
from coap_rig import WRAPPER
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from fleet.control import operations as control
from fleet.control.history import list_
from fleet.control.operations import COMMAND, CONFIG, KEY, UPDATE, Item, Pending
from fleet.db.base import Database
from fleet.identity import oscore
from fleet.uplink import answers
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.wire import cbor, receipt


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = rig.open_database(tmp_path)
    yield made
    made.close()


@pytest.fixture
def ingest(database: Database) -> Ingest:
    return Ingest(database, WRAPPER)


@pytest.fixture
def node(database: Database) -> Node:
    return Node(database, rig.add_nodes(database, 1)[0])


def queue(database: Database, node: Node, *payloads: bytes, kind: int = COMMAND) -> list[int]:
    with database.begin() as session:
        return [control.enqueue(session, node.node_id, kind, p) for p in payloads]


def states(database: Database, node: Node) -> list[str]:
    with database.read() as session:
        return [listed.state for listed in list_(session, node.node_id)]


def given_to(ingest: Ingest, message: Message) -> receipt.Receipt:
    """The receipt of one message; an empty one where there is none."""
    (outcome,) = ingest.process([message])
    return receipt.decode(outcome.receipt) if outcome.receipt else receipt.Receipt(0, [], [], 0, 0)


def by_mqtt(node: Node, payload: bytes) -> Message:
    return Message(node.node_id, payload, rig.NOW_US)


def test_items_ride_on_the_answer_until_the_node_settles_them(
    database: Database, ingest: Ingest, node: Node
) -> None:
    numbers = queue(database, node, b"one", b"two")
    for n in (1, 2):
        got = given_to(ingest, node.sends(rig.make_report(1, [n])))
        assert (got.epoch, got.ranges) == (1, [(n, n)])
        assert got.items == [[numbers[0], COMMAND, b"one"], [numbers[1], COMMAND, b"two"]]
        assert states(database, node) == ["handed", "handed"]
    told = rig.make_report(1, [3], {14: numbers[0]})
    assert given_to(ingest, node.sends(told)).items == [[numbers[1], COMMAND, b"two"]]
    assert states(database, node) == ["settled", "handed"]
    told = rig.make_report(1, [4], {14: numbers[1], 15: numbers[1]})
    assert ingest.process([node.sends(told)])[0].receipt is None
    assert states(database, node) == ["settled", "refused"]


def test_a_poll_is_answered_by_items_alone(database: Database, ingest: Ingest, node: Node) -> None:
    queue(database, node, b"one")
    got = given_to(ingest, node.sends(b""))
    assert (got.epoch, got.ranges, [item[2] for item in got.items]) == (0, [], [b"one"])


def test_items_come_over_mqtt_as_well(database: Database, ingest: Ingest, node: Node) -> None:
    queue(database, node, bytes(500), bytes(500), bytes(500))
    got = given_to(ingest, by_mqtt(node, rig.make_report(1, [1])))
    assert (got.ranges, [len(item[2]) for item in got.items]) == ([(1, 1)], [500, 500, 500])
    empty = given_to(ingest, by_mqtt(node, rig.make_report(1, [], {0: 0})))
    assert (empty.epoch, len(empty.items)) == (0, 3)


def test_what_does_not_fit_is_counted_and_waits_for_its_turn(
    database: Database, ingest: Ingest, node: Node
) -> None:
    numbers = queue(database, node, *(bytes([n]) * 200 for n in range(11)))
    got = given_to(ingest, node.sends(rig.make_report(1, [1])))
    assert [item[0] for item in got.items] == numbers[:3]
    assert got.waiting == 8
    got = given_to(ingest, by_mqtt(node, rig.make_report(1, [2], {14: numbers[2]})))
    assert [item[0] for item in got.items] == numbers[3:]
    assert got.waiting == 0


def test_of_a_large_item_a_node_of_coap_is_told_the_size(
    database: Database, ingest: Ingest, node: Node
) -> None:
    large, small = queue(database, node, bytes(2000), b"x", kind=UPDATE)
    got = given_to(ingest, node.sends(b""))
    assert got.items == [[large, UPDATE, 2000], [small, UPDATE, b"x"]]
    (outcome,) = ingest.process([Message(node.node_id, None, 0, node.claim(), large)])
    assert (outcome.kind, outcome.item) == ("struck", bytes(2000))
    (outcome,) = ingest.process([Message(node.node_id, None, 0, node.claim(), 99)])
    assert (outcome.kind, outcome.item) == ("struck", None)
    assert given_to(ingest, by_mqtt(node, rig.make_report(1, [1]))).waiting == 2


def test_attack_fetch_of_another_node_s_item(
    database: Database, ingest: Ingest, node: Node
) -> None:
    other = Node(database, rig.add_nodes(database, 1)[0])
    (number,) = queue(database, node, b"for node alone")
    assert queue(database, other, b"other's") == [number]
    (outcome,) = ingest.process([Message(other.node_id, None, 0, other.claim(), number)])
    assert outcome.item == b"other's"


def test_a_key_is_composed_when_it_is_handed_over(
    database: Database, ingest: Ingest, node: Node
) -> None:
    with database.begin() as session:
        kid = oscore.rotate(session, WRAPPER, node.node_id)
        secret = oscore.find(session, WRAPPER, [kid])[kid].secret
    ((_, kind, payload),) = given_to(ingest, node.sends(b"")).items
    assert (kind, cbor.decode(payload)) == (KEY, [kid, bytes(secret)])


def test_a_replay_is_given_nothing_and_settles_nothing(
    database: Database, ingest: Ingest, node: Node
) -> None:
    claim = node.claim()
    ingest.process([node.sends(b"", claim)])
    (number,) = queue(database, node, b"one")
    late = node.sends(rig.make_report(1, [1], {14: number}), claim)
    assert ingest.process([late])[0].receipt is None
    assert states(database, node) == ["queued"]


def test_a_commit_that_fails_hands_nothing_over(
    database: Database, ingest: Ingest, node: Node
) -> None:
    queue(database, node, b"one")

    @event.listens_for(database.engine, "commit", once=True)
    def commit(_connection: object) -> None:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        ingest.process([node.sends(b"")])
    assert states(database, node) == ["queued"]


def test_a_batch_of_many_nodes_asks_once(database: Database, ingest: Ingest) -> None:
    nodes = [Node(database, node_id) for node_id in rig.add_nodes(database, 30)]
    for node in nodes:
        queue(database, node, b"one")
    asked: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def count(_c: object, _u: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    outcomes = ingest.process([node.sends(rig.make_report(1, [1])) for node in nodes])
    assert all(len(receipt.decode(o.receipt).items) == 1 for o in outcomes if o.receipt)
    assert sum("FROM downlinks" in statement for statement in asked) == 1
    assert len(asked) < 40, "nothing is asked for each node"


items = st.lists(
    st.tuples(st.sampled_from([CONFIG, COMMAND, UPDATE]), st.integers(0, 3000)), max_size=8
).map(lambda drawn: [Item(n + 1, kind, bytes(size)) for n, (kind, size) in enumerate(drawn)])
ranges = st.lists(st.integers(1, 1 << 32 - 1), max_size=130, unique=True).map(
    lambda numbers: [(n, n) for n in sorted(numbers)][::2]
)


@given(ranges, items, st.integers(0, 60))
def test_any_receipt_of_coap_fits_and_is_the_oldest_of_each(
    covered: list[tuple[int, int]], waits: list[Item], more: int
) -> None:
    covered = [pair for pair, last in zip(covered, [(0, 0), *covered], strict=False)
               if pair[0] > last[1] + 1]  # fmt: skip
    answer = answers.by_coap(7, covered, Pending(waits, more))
    if answer.receipt is None:
        assert not waits
        assert not more
        assert len(covered) <= receipt.MAX_RANGES
        return
    assert len(answer.receipt) <= answers.COAP_RECEIPT
    got = receipt.decode(answer.receipt)
    assert got.ranges == covered[: len(got.ranges)]
    assert bool(got.ranges) == bool(covered)
    assert (
        [item[0] for item in got.items]
        == answer.handed
        == [w.number for w in waits][: len(got.items)]
    )
    assert len(got.items) + got.waiting == len(waits) + more
