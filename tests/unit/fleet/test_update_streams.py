"""Streams and their blocks: the same bytes for ever, to the right node, until withdrawn."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import fleet_rig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from updates_rig import City, Taker, image

from fleet.coap import limits
from fleet.registry import operations as registry
from fleet.updates import blocks, parts, requests, streams
from fleet.updates.blocks import Blocks
from fleet.updates.desk import BlockDesk
from fleet.updates.requests import RequestError
from fleet.updates.streams import NotServedError, Streams
from fleet.wire import cbor, release


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path)
    yield made
    made.close()


@pytest.fixture
def node(city: City) -> Taker:
    """One that has taken an assignment."""
    city.roll_out()
    made = city.node()
    made.report()
    return made


def test_a_stream_is_the_envelope_and_the_image(city: City, node: Taker) -> None:
    stream = node.fetch(100)
    assert isinstance(stream, bytes)
    assert node.job is not None
    ((_kind, _form, size, _base),) = node.job[1].parts
    manifest, _signatures = release.unseal(stream[: len(stream) - size])
    assert release.decode(manifest).sequence == 8
    assert zlib.decompress(stream[-size:], release.WBITS) == city.images[8]


def test_a_restart_goes_on_with_the_same_bytes(city: City, node: Taker) -> None:
    before = node.fetch()
    city.open()
    assert node.fetch() == before


def test_another_library_that_packs_otherwise_changes_no_stream(
    city: City, node: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = node.fetch()
    monkeypatch.setattr("fleet.updates.packing.deflated", lambda data: zlib.compress(data, 1))
    city.open()
    assert node.fetch() == before


def test_sabotage_packed_anew_by_another_library_the_stream_is_gone(
    city: City, node: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.updates.packing.deflated", lambda data: zlib.compress(data, 1))
    with city.database.begin() as session:
        session.connection().exec_driver_sql("DELETE FROM packed")
    assert node.fetch() == release.GONE


def test_a_withdrawal_is_seen_within_seconds(city: City, node: Taker) -> None:
    ids = [row[0] for row in fleet_rig.query(city.path, "SELECT id FROM updates")]
    assert isinstance(node.fetch(), bytes)
    city.withdraw(ids)
    city.clock += streams.KNOWN_S
    assert node.fetch() == release.GONE


def test_a_revoked_release_is_gone_in_the_middle(city: City, node: Taker) -> None:
    assert city.blocks.read(node.node_id, 1, 0, 512).data
    city.revoke()
    city.clock += streams.KNOWN_S
    assert node.fetch() == release.GONE


def test_a_node_in_quarantine_is_told_to_wait(city: City, node: Taker) -> None:
    with city.database.begin() as session:
        registry.set_state(session, node.node_id, "quarantined")
    assert node.fetch() == release.LATER


def test_nobody_gets_what_another_was_assigned(city: City, node: Taker) -> None:
    with pytest.raises(NotServedError) as caught:
        city.blocks.read("1gntj14d2p", 1, 0, 512)
    assert caught.value.code == release.UNKNOWN
    with pytest.raises(NotServedError):
        city.blocks.read(node.node_id, 2, 0, 512)


def test_a_database_in_trouble_is_later(city: City, node: Taker) -> None:
    city.open()
    (city.path.parent / "kapok.db").rename(city.path.parent / "away.db")
    assert node.fetch() == release.LATER
    (city.path.parent / "away.db").rename(city.path.parent / "kapok.db")
    assert isinstance(node.fetch(), bytes)


def test_the_next_blocks_cost_the_database_nothing(city: City, node: Taker) -> None:
    node.fetch()
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(city.database.engine, "before_cursor_execute", note)
    node.fetch(64)
    assert asked == []


def test_blocks_leave_no_row(city: City, node: Taker) -> None:
    def rows() -> int:
        tables = fleet_rig.query(city.path, "SELECT name FROM sqlite_master WHERE type = 'table'")
        counts = [fleet_rig.query(city.path, f"SELECT count(*) FROM {name}") for (name,) in tables]  # noqa: S608
        return sum(count for ((count,),) in counts)

    before = rows()
    node.fetch(64)
    assert rows() == before


def test_streams_in_memory_are_bounded(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 20_000)
    kept = Streams(city.database, lambda: 0.0)
    for n in range(20, 40):
        data = bytes(range(256)) * 8
        city.publish(n, {release.APPLICATION: image(n, 600) + data[:n]})
        recipe = (n, b"", 0, b"")
        kept._keep(recipe, streams.Stream(bytes(3000), b""))
    assert kept.kept_bytes <= 20_000


def test_one_node_gets_no_more_than_its_share(
    city: City, node: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "OF_NODE", limits.Rate(512, 1024))
    city.blocks = Blocks(Streams(city.database, lambda: city.clock), lambda: city.clock)
    assert node.fetch() == release.LATER
    assert city.blocks.counts["later"] == 1
    city.clock += 1
    assert city.blocks.read(node.node_id, 1, 0, 512).data


def test_sabotage_without_a_share_one_node_takes_all(
    city: City, node: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Blocks, "_admit", lambda _self, _node: None)
    monkeypatch.setattr(blocks, "OF_NODE", limits.Rate(1, 64))
    city.blocks = Blocks(Streams(city.database))
    assert isinstance(node.fetch(), bytes)


class Desk:
    """A desk that answers at once, and what it said."""

    def __init__(self, city: City) -> None:
        self.said: list[list[object]] = []
        self.desk = BlockDesk(city.blocks)
        self.desk._say = lambda _node, payload: self.said.append(_list(cbor.decode(payload)))

    def ask(self, node: Taker, *request: object) -> list[list[object]]:
        """The answers to one request."""
        self.said = []
        self.desk.answer(node.node_id, cbor.encode(list(request)))
        return self.said


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def test_a_node_asks_for_what_it_lacks(city: City, node: Taker) -> None:
    whole = node.fetch()
    assert isinstance(whole, bytes)
    said = Desk(city).ask(node, 1, 512, 1, bytes([0b10100000]))
    assert said == [[1, 1, whole[512:1024]], [1, 3, whole[1536:2048]]]


def test_behind_the_end_there_is_silence(city: City, node: Taker) -> None:
    assert node.job is not None
    last = node.job[1].size // 512
    said = Desk(city).ask(node, 1, 512, last, b"\xff")
    assert [index for _number, index, _data in said] == [last]
    assert Desk(city).ask(node, 1, 512, last + 1, b"\xff") == []


def test_what_there_is_not_is_said_once(city: City, node: Taker) -> None:
    assert Desk(city).ask(node, 9, 512, 0, b"\xff\xff") == [[9, 0, release.UNKNOWN]]


def test_an_answer_is_bounded_whatever_was_asked(city: City, node: Taker) -> None:
    said = Desk(city).ask(node, 1, 64, 0, b"\xff" * 16)
    assert len(said) <= requests.MOST


def test_a_full_desk_drops_and_never_waits(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.updates.desk.QUEUE", 2)
    desk = BlockDesk(city.blocks)
    for n in range(5):
        desk.heard(f"1gntj14d2{n}", b"")
    assert city.blocks.counts["dropped"] == 3


@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_none(payload: bytes) -> None:
    try:
        found = requests.decode(payload)
    except RequestError:
        return
    assert len(found.indices) * found.size <= requests.MOST_BYTES


@given(
    st.integers(1, 2**31 - 1), st.integers(64, 3072), st.integers(0, 2**24 - 1),
    st.binary(min_size=1, max_size=16),
)  # fmt: skip
def test_a_bitmap_says_which_blocks(number: int, size: int, first: int, bitmap: bytes) -> None:
    found = requests.decode(cbor.encode([number, size, first, bitmap]))
    bits = "".join(f"{byte:08b}" for byte in bitmap)
    wanted = [first + n for n, bit in enumerate(bits) if bit == "1" and first + n < 1 << 24]
    assert found.indices == wanted[: len(found.indices)]
    assert len(found.indices) == min(len(wanted), 64, 65_536 // size)


@pytest.mark.parametrize(
    "request_",
    [
        [0, 512, 0, b"\x80"], [1, 63, 0, b"\x80"], [1, 4096, 0, b"\x80"], [1, 512, -1, b"\x80"],
        [1, 512, 0, b""], [1, 512, 0, bytes(17)], [True, 512, 0, b"\x80"], [1, 512, 0], {},
        [1, 512, 1 << 24, b"\x80"],
    ],
)  # fmt: skip
def test_all_else_is_no_request(request_: object) -> None:
    with pytest.raises(RequestError):
        requests.decode(cbor.encode(request_))


@pytest.mark.parametrize("make", [parts.deflated])
def test_what_is_packed_has_the_window_that_nodes_have(make: Callable[[bytes], bytes]) -> None:
    packed = make(image(1, 60_000))
    assert packed[0] >> 4 == release.WBITS - 8
    assert zlib.decompress(packed, release.WBITS) == image(1, 60_000)
