"""Reports, polls, items and blocks by CoAP with OSCORE, over UDP, into a real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from aiocoap import CHANGED, CON, CONTENT, GET, NON, POST, PUT, Message
from aiocoap.numbers import codes
from coap_rig import Link, Node, Rig

from fleet.coap import commits, echo
from fleet.control import operations as control
from fleet.db import sqlite
from fleet.registry import operations as registry
from fleet.uplink import batches
from fleet.wire import receipt


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


@pytest.fixture
def node(rig: Rig) -> Node:
    return rig.node()


@pytest.fixture
def link(rig: Rig) -> Link:
    return rig.link()


def enqueue(rig: Rig, node: Node, *payloads: bytes) -> list[int]:
    with rig.database.begin() as session:
        return [control.enqueue(session, node.node_id, control.COMMAND, p) for p in payloads]


def sequences(rig: Rig) -> set[int]:
    return {sequence for _, _, sequence in rig.stored()}


async def test_a_report_is_committed_when_it_is_answered(rig: Rig, node: Node, link: Link) -> None:
    raw, request = node.seal(fleet_rig.make_report(1, [1, 2]))
    answer = await link.exchange(raw)
    assert rig.stored() == {(node.node_id, 1, 1), (node.node_id, 1, 2)}
    assert len(answer) == 15  # and 28 of IP and UDP: 43 bytes down
    assert answer[:2] + answer[4:6] == b"\x60\x44\x90\xff"  # ACK, 2.04, empty OSCORE option
    assert answer[2:4] == raw[2:4]
    opened = node.open(answer, request)
    assert (opened.code, opened.payload) == (CHANGED, b"")


async def test_a_repeat_is_answered_by_the_same_bytes(rig: Rig, node: Node, link: Link) -> None:
    raw, _ = node.seal(fleet_rig.make_report(1, [1]))
    answers = {await link.exchange(raw) for _ in range(4)}
    assert len(answers) == 1
    assert rig.counts["stored"] == 1


async def test_two_at_once_of_one_node_are_both_answered(rig: Rig, node: Node, link: Link) -> None:
    """With empty tokens: aiocoap alone would take the second for the end of the first."""
    made = [node.seal(fleet_rig.make_report(1, [n])) for n in (1, 2, 3)]
    for raw, _ in made:
        link.send(raw)
    answers = {raw[2:4]: raw for raw in [await link.receive() for _ in made]}
    for raw, request in made:
        assert node.open(answers[raw[2:4]], request).code == CHANGED
    assert sequences(rig) == {1, 2, 3}


async def test_a_request_that_is_not_confirmable_is_answered_so(
    rig: Rig, node: Node, link: Link
) -> None:
    raw, request = node.seal(fleet_rig.make_report(1, [1]), mtype=NON)
    answer = await link.exchange(raw)
    assert answer[0] == 0x50
    assert node.open(answer, request).code == CHANGED
    link.send(raw)
    await link.silence()


async def test_a_poll_and_a_report_bring_what_waits(rig: Rig, node: Node, link: Link) -> None:
    assert (await link.ask(node)).payload == b""
    first, second = enqueue(rig, node, b"one", bytes(1500))
    polled = receipt.decode((await link.ask(node)).payload)
    assert polled.items == [[first, 3, b"one"], [second, 3, 1500]]
    answer = await link.ask(node, fleet_rig.make_report(1, [1], {14: first}))
    got = receipt.decode(answer.payload)
    assert (got.epoch, got.ranges, got.items) == (1, [(1, 1)], [[second, 3, 1500]])
    assert (await link.ask(node, fleet_rig.make_report(1, [2], {14: second}))).payload == b""


async def test_an_item_is_fetched_in_blocks(rig: Rig, node: Node, link: Link) -> None:
    payload = bytes(range(256)) * 5 + b"end"
    (number,) = enqueue(rig, node, payload)
    got, block = b"", 0
    while True:
        part = await link.fetch(node, number, block2=(block, False, 4))
        assert part.code == CONTENT
        got += part.payload
        block += 1
        if not part.opt.block2.more:
            break
    assert (got, block) == (payload, 6)
    beyond = await link.fetch(node, number, block2=(6, False, 4))
    missing = await link.fetch(node, number + 1)
    assert (beyond.code, missing.code) == (codes.BAD_REQUEST, codes.NOT_FOUND)


async def test_a_report_in_blocks_is_stored_with_the_last(
    rig: Rig, node: Node, link: Link
) -> None:
    report = fleet_rig.make_report(1, range(1, 200, 3))
    size = 64
    count = -(-len(report) // size)
    for n in range(count):
        more = n + 1 < count
        piece = report[n * size : (n + 1) * size]
        for _ in range(2 if n == 1 else 1):  # one is sealed again, as after a lost answer
            answer = await link.ask(node, piece, block1=(n, more, 2))
            assert answer.code == (codes.CONTINUE if more else CHANGED)
            assert answer.opt.block1 == (n, more, 2)
        assert bool(rig.stored()) is not more
    assert sequences(rig) == set(range(1, 200, 3))


async def test_a_block_without_those_before_it_begins_anew(
    rig: Rig, node: Node, link: Link
) -> None:
    late = await link.ask(node, bytes(16), block1=(3, False, 0))
    large = await link.ask(node, bytes(1024), block1=(8, True, 6))
    assert late.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert large.code == codes.REQUEST_ENTITY_TOO_LARGE
    assert rig.stored() == set()


async def test_what_is_not_spoken_is_said_inside(rig: Rig, node: Node, link: Link) -> None:
    said = [
        (await link.ask(node, b"", code=PUT)).code,
        (await link.ask(node, b"", code=GET)).code,
        (await link.ask(node, b"", uri_path=("x",))).code,
        (await link.ask(node, b"", accept=60)).code,
        (await link.ask(node, b"junk")).code,
    ]
    assert [str(code)[:4] for code in said] == ["4.05", "4.05", "4.04", "4.02", "4.00"]


@pytest.mark.parametrize("state", ["quarantined", "retired"])
async def test_a_node_that_is_not_active_is_forbidden(
    rig: Rig, node: Node, link: Link, state: str
) -> None:
    with rig.database.begin() as session:
        registry.set_state(session, node.node_id, state)
    for payload in (fleet_rig.make_report(1, [1]), b""):
        assert (await link.ask(node, payload)).code == codes.FORBIDDEN
    assert rig.stored() == set()


async def test_an_unknown_window_is_answered_by_a_challenge(
    rig: Rig, node: Node, link: Link
) -> None:
    """RFC 8613, B.1.2: the node repeats with the Echo option and a new number, from anywhere."""
    rig.distrust()
    report = fleet_rig.make_report(1, [1])
    raw, request = node.seal(report)
    answer = await link.exchange(raw)
    challenge = node.open(answer, request)
    assert challenge.code == codes.UNAUTHORIZED
    assert len(answer) <= 3 * len(raw)
    assert rig.stored() == set()
    wrong = await link.ask(node, report, echo=bytes(12))
    assert (wrong.code, rig.stored()) == (codes.UNAUTHORIZED, set())
    raw, request = node.seal(report, echo=challenge.opt.echo)
    answer = await rig.link().exchange(raw)
    assert node.open(answer, request).code == CHANGED
    assert Message.decode(answer).opt.oscore != b"", "under a number of the fleet's own"
    assert sequences(rig) == {1}
    raw, request = node.seal(fleet_rig.make_report(1, [2]))
    assert Message.decode(await link.exchange(raw)).opt.oscore == b""


async def test_an_old_echo_value_is_challenged_again(
    rig: Rig, node: Node, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.distrust()
    monkeypatch.setattr(echo, "VALID_S", -1)
    challenge = await link.ask(node)
    again = await link.ask(node, echo=challenge.opt.echo)
    assert (challenge.code, again.code) == (codes.UNAUTHORIZED, codes.UNAUTHORIZED)


async def test_a_rotated_key_takes_over_with_its_first_request(
    rig: Rig, node: Node, link: Link
) -> None:
    from fleet.identity import oscore
    from fleet.wire import cbor

    with rig.database.begin() as session:
        oscore.rotate(session, coap_rig.WRAPPER, node.node_id)
    ((_, _, key),) = receipt.decode((await link.ask(node)).payload).items
    after = Node(node.node_id, *cbor.decode(key))  # type: ignore[misc]
    assert (await link.ask(node, fleet_rig.make_report(1, [1]))).code == CHANGED
    assert (await link.ask(after, fleet_rig.make_report(1, [2]))).code == CHANGED
    old = await link.ask(node, fleet_rig.make_report(1, [3]))
    assert (old.code, old.opt.oscore) == (codes.UNAUTHORIZED, None)
    assert sequences(rig) == {1, 2}


async def test_a_database_that_is_gone_is_said_outside_and_nothing_is_struck(
    rig: Rig, node: Node, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "RETRY_S", (0.02, 0.05))
    stranger = rig.node()
    await link.ask(node, fleet_rig.make_report(1, [1]))
    raw, request = node.seal(fleet_rig.make_report(1, [2]))
    aside = rig.path.with_suffix(".aside")
    rig.path.rename(aside)
    told = Message.decode(await link.exchange(raw))
    assert (told.code, told.opt.max_age, told.opt.oscore) == (codes.SERVICE_UNAVAILABLE, 30, None)
    cold = await link.ask(stranger)
    assert cold.code == codes.SERVICE_UNAVAILABLE
    aside.rename(rig.path)
    await asyncio.sleep(0.1)  # the door for offers opens again by itself
    assert node.open(await link.exchange(raw), request).code == CHANGED
    assert sequences(rig) == {1, 2}


async def test_a_database_that_is_slow_leaves_the_node_to_seal_again(
    rig: Rig, node: Node, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5.03 came, and the commit after it: the number is struck, the records are there."""
    monkeypatch.setattr(commits, "ANSWER_S", 0.1)
    monkeypatch.setattr(sqlite, "BUSY_MS", 5000)
    report = fleet_rig.make_report(1, [1])
    raw, _ = node.seal(report)
    await link.ask(node)
    with fleet_rig.writer_elsewhere(rig.path):
        assert Message.decode(await link.exchange(raw)).code == codes.SERVICE_UNAVAILABLE
        assert rig.stored() == set()
    await rig.until_stored(1)
    replay = Message.decode(await link.exchange(raw))
    assert (replay.code, replay.payload) == (codes.UNAUTHORIZED, b"Replay detected")
    assert (await link.ask(node, report)).code == CHANGED
    assert sequences(rig) == {1}


async def test_stopping_answers_what_is_in_work(rig: Rig, node: Node, link: Link) -> None:
    await link.ask(node)
    made = [node.seal(fleet_rig.make_report(1, [n])) for n in range(1, 21)]
    for raw, _ in made:
        link.send(raw)
    await rig.until("datagrams", 21)
    await rig.server.stop()
    answers = {raw[2:4]: raw for raw in [await link.receive() for _ in made]}
    assert all(node.open(answers[raw[2:4]], request).code == CHANGED for raw, request in made)
    assert sequences(rig) == set(range(1, 21))
    await rig.start()


async def test_plain_requests_get_the_little_there_is(rig: Rig, link: Link) -> None:
    core = Message(code=GET, uri_path=(".well-known", "core"))
    said = Message.decode(await link.exchange(coap_rig.encoded(core, CON, b"tk")))
    assert (said.code, said.payload, said.token) == (CONTENT, b"</>;osc", b"tk")
    for code in (GET, POST, PUT):
        said = Message.decode(await link.exchange(coap_rig.encoded(Message(code=code))))
        assert (said.code, said.payload) == (codes.UNAUTHORIZED, b"")
