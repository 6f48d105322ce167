"""Replay: what a node sealed is sent again by whoever recorded it, now and after a restart."""

from collections.abc import AsyncIterator
from pathlib import Path

import coap_rig
import fleet_rig
import nonces
import pytest
import pytest_asyncio
from aiocoap import CHANGED, UNAUTHORIZED, Message
from cli_rig import initialised
from coap_rig import Link, Node, Rig
from fleet_here import FleetHere

from fleet.coap import contexts, echo
from fleet.coap.contexts import Known
from fleet.coap.protected import Protected, Sealed
from fleet.coap.security import Binding
from fleet.control import operations as control
from fleet.identity import oscore


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


def is_refused(raw: bytes) -> bool:
    """4.01 outside, and nothing sealed."""
    answer = Message.decode(raw)
    return answer.code == UNAUTHORIZED and answer.opt.oscore is None


def under_another_mid(raw: bytes) -> bytes:
    return raw[:2] + bytes([raw[2] ^ 0x55]) + raw[3:]


async def recorded(link: Link, node: Node) -> list[bytes]:
    """A report and a poll that were answered."""
    made = [node.seal(fleet_rig.make_report(1, [1])), node.seal()]
    for raw, request in made:
        assert node.open(await link.exchange(raw), request).code == CHANGED
    return [raw for raw, _ in made]


async def test_attack_replay_now(rig: Rig) -> None:
    node = rig.node()
    link = rig.link()
    recording = await recorded(link, node)
    stored = rig.stored()
    for raw in recording:
        assert is_refused(await rig.link().exchange(raw)), "from another port"
        assert is_refused(await rig.link("127.0.0.9").exchange(raw)), "from another address"
        assert is_refused(await link.exchange(under_another_mid(raw)))
    with rig.database.begin() as session:
        control.enqueue(session, node.node_id, control.COMMAND, b"secret")
    assert is_refused(await rig.link().exchange(recording[1]))
    with rig.database.read() as session:
        (waits,) = control.pending(session, coap_rig.WRAPPER, [node.node_id], 1)[
            node.node_id
        ].items
    assert waits.payload == b"secret"
    assert rig.stored() == stored
    assert (await link.ask(node)).payload, "and the node itself goes on"


async def test_attack_replay_of_what_the_server_forgot(rig: Rig) -> None:
    """Its contexts are out of memory: the database knows."""
    node = rig.node()
    recording = await recorded(rig.link(), node)
    rig.server.contexts._proven.clear()
    for raw in recording:
        assert is_refused(await rig.link().exchange(raw))
    assert rig.counts["replayed"] == len(recording)


async def test_attack_replay_after_kill_9_and_restart(tmp_path: Path) -> None:
    data = initialised(tmp_path / "data")
    (node,) = coap_rig.provision(data, 1)
    fleet = FleetHere(data, "--port", "0", "--broker-port", "0", "--coap-port", "0")
    recording = await recorded(Link((await fleet.start())["coap_port"]), node)
    await fleet.kill()
    link = Link((await fleet.start())["coap_port"])
    try:
        for raw in recording:
            assert is_refused(await link.exchange(raw))
        assert (await link.ask(node, fleet_rig.make_report(1, [2]))).code == CHANGED
    finally:
        await fleet.kill()
    assert sorted(fleet_rig.stored(data / "kapok.db").values()) == [1, 1]


async def lost_twice(rig: Rig, recorder: nonces.Recorder) -> int:
    """A node proves by Echo that it is new, and goes on; then its window is lost once more.

    A recorder sends all that again, in order. How many nonces sealed two answers.
    """
    node, link = rig.node(), rig.link()
    rig.distrust()
    challenge = await link.ask(node)
    made = [node.seal(echo=challenge.opt.echo), *(node.seal() for _ in range(3))]
    for raw, request in made:
        assert node.open(await link.exchange(raw), request).code == CHANGED
    with rig.database.begin() as session:
        control.enqueue(session, node.node_id, control.COMMAND, b"another answer")
    rig.distrust()
    rig.server.contexts._proven.clear()
    for raw, _ in made:
        await rig.link().exchange(raw)
    return recorder.reused()


async def test_attack_replay_of_an_echo_after_the_window_is_lost_twice(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await lost_twice(rig, nonces.record(monkeypatch)) == 0
    assert rig.counts["challenged"] == 5


async def test_sabotage_an_echo_that_is_good_for_every_loss(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window goes back to the recorded request, and all behind it is new once more."""
    monkeypatch.setattr(echo, "NUMBERS_OF_A_LOSS", 1 << 50)
    assert await lost_twice(rig, nonces.record(monkeypatch)) == 3


async def test_sabotage_without_the_strike_a_replay_is_answered_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And under the same nonce another answer: who has both has their difference in plain text."""
    recorder = nonces.record(monkeypatch)
    monkeypatch.setattr(oscore, "strike", lambda _session, claims, *_: [True for _ in claims])
    monkeypatch.setattr(contexts, "STRUCK", 0)
    node, link = rig.node(), rig.link()
    raw, request = node.seal()
    assert node.open(await link.exchange(raw), request).payload == b""
    with rig.database.begin() as session:
        control.enqueue(session, node.node_id, control.COMMAND, b"secret")
    assert not is_refused(await rig.link().exchange(raw))
    assert recorder.reused() == 1


async def test_sabotage_an_answer_before_the_commit_is_sealed_twice(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers first, is killed, and is asked again by the node."""
    recorder = nonces.record(monkeypatch)
    answer = Protected.answer

    async def hasty(self: Protected, known: Known, binding: Binding, plain: bytes) -> Sealed:
        known.security.answer(Binding(binding.kid, binding.piv), b"\x44")
        return await answer(self, known, binding, plain)

    monkeypatch.setattr(Protected, "answer", hasty)
    node, link = rig.node(), rig.link()
    with rig.database.begin() as session:
        control.enqueue(session, node.node_id, control.COMMAND, b"item")
    await link.exchange(node.seal()[0])
    assert recorder.reused() == 1
