"""Whoever asks for blocks that are not his, or for too many of them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from updates_rig import City

from fleet.updates import desk
from fleet.updates.blocks import OF_NODE
from fleet.updates.desk import BlockDesk
from fleet.wire import cbor, release


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path, 2)
    made.roll_out()
    for place in range(2):
        made.node(place).report()
    yield made
    made.close()


class Said:
    """A desk, and what it said to whom."""

    def __init__(self, city: City) -> None:
        self.said: list[tuple[str, list[object]]] = []
        self.told = {node_id: threading.Event() for node_id in city.nodes}
        self.desk = BlockDesk(city.blocks)

    def answers(self, node_id: str) -> list[list[object]]:
        """To one node."""
        return [payload for whom, payload in self.said if whom == node_id]

    def say(self, node_id: str, payload: bytes) -> None:
        """As the subscriber does."""
        content = cbor.decode(payload)
        assert isinstance(content, list)
        self.said.append((node_id, content))
        self.told[node_id].set()


def wanted(number: int = 1) -> bytes:
    """All that one request can ask for."""
    return cbor.encode([number, 1024, 0, b"\xff" * 16])


def test_attack_one_node_floods_the_desk_and_another_is_served(city: City) -> None:
    """Ten thousand requests wait in nobody's way: four of them do."""
    flooder, other = city.nodes
    said = Said(city)
    for _ in range(10_000):
        said.desk.heard(flooder, wanted())
    said.desk.heard(other, wanted())
    assert said.desk._queue.qsize() == desk.OF_NODE + 1
    said.desk.start(said.say)
    assert said.told[other].wait(10)
    said.desk.stop()
    assert said.answers(other)[0][:2] == [1, 0]


def test_sabotage_without_a_share_of_the_queue_the_other_is_dropped(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "OF_NODE", 1 << 30)
    said = Said(city)
    for _ in range(desk.QUEUE):
        said.desk.heard(city.nodes[0], wanted())
    said.desk.heard(city.nodes[1], wanted())
    assert city.nodes[1] not in [node for node, _ in list(said.desk._queue.queue)]


def test_attack_the_same_stream_for_ever(city: City) -> None:
    """What a node may draw at once is bounded; then it waits."""
    said = Said(city)
    said.desk._say = said.say
    node = city.nodes[0]
    for _ in range(3_000):
        said.desk.answer(node, wanted())
        if said.said[-1][1][2] == release.LATER:
            break
    assert said.said[-1][1][2] == release.LATER
    assert city.blocks.counts["bytes"] <= OF_NODE.burst + 1024
    assert city.blocks.read(city.nodes[1], 1, 0, 512).data, "the other is not concerned"


def test_attack_another_ones_stream_is_asked_for(city: City) -> None:
    """The broker says whose topic it is; numbers are each node's own."""
    with city.database.begin() as session:
        session.connection().exec_driver_sql(
            "UPDATE assigned SET number = 5 WHERE node_id = ?", (city.nodes[1],)
        )
    said = Said(city)
    said.desk._say = said.say
    said.desk.answer(city.nodes[0], wanted(5))
    assert said.said == [(city.nodes[0], [5, 0, release.UNKNOWN])]


def test_attack_garbage_costs_no_look_into_the_database(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(city.blocks, "read", lambda *_: pytest.fail("it was looked up"))
    said = Said(city)
    said.desk._say = said.say
    for payload in (b"", b"\xff" * 5000, cbor.encode([1, 1, 0, b"\xff"]), cbor.encode({})):
        said.desk.answer(city.nodes[0], payload)
    assert said.said == []
    assert city.blocks.counts["malformed"] == 4
