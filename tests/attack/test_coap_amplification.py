"""Amplification: whoever proved nothing gets no more than three times what he sent, or nothing."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import coap_rig
import fleet_rig
import pytest
import pytest_asyncio
from aiocoap import CON, DELETE, FETCH, GET, NON, POST, PUT, Message
from coap_rig import Node, Rig

from fleet.coap import exchanges, site
from fleet.coap.exchanges import Peer

TIMES = 3  # RFC 9175, 2.3 asks for as much of a server
CODES = (GET, POST, PUT, DELETE, FETCH)


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


def corpus(node: Node) -> Iterator[bytes]:
    """What a stranger may send: plain, forged, cut, junk; all of it unauthenticated."""
    chance = random.Random(7252)
    paths: list[tuple[str, ...]] = [(), (".well-known", "core"), ("d", "1"), ("x",)]
    for mtype in (CON, NON):
        for code in CODES:
            for path in paths:
                for token in (b"", b"t", bytes(8)):
                    plain = Message(code=code, uri_path=path)
                    yield coap_rig.encoded(plain, mtype, token)
                    yield coap_rig.encoded(plain.copy(payload=b"x"), mtype, token)
                    yield coap_rig.encoded(plain.copy(block2=(0, False, 6)), mtype, token)
        for secret in (bytes(16), node.secret):
            forger = Node(node.node_id, b"\xff\xff\xff", secret)
            yield forger.seal(b"", mtype=mtype)[0]
            yield forger.seal(fleet_rig.make_report(1, [1]), mtype=mtype)[0]
        forged = Node(node.node_id, node.kid, bytes(16)).seal(b"", mtype=mtype)[0]
        for n in range(4, len(forged) + 1):
            yield forged[:n]
        for option in (b"", b"\x08", b"\xff", b"\x09\x00", b"\x19\x00\x00", bytes(255)):
            yield coap_rig.encoded(Message(code=POST, oscore=option, payload=b"x"), mtype)
    for first in (0x40, 0x50, 0x60, 0x70, 0x48, 0x80):
        for code in (0, 1, 2, 31, 32, 68, 255):
            yield bytes((first, code, 1, 2))
            yield bytes((first, code, 1, 2)) + chance.randbytes(8)
    for size in (1, 2, 3, 100, 1280, 1400):
        yield chance.randbytes(size)


def answers_to(rig: Rig, sent: list[bytes]) -> dict[int, bytes]:
    """Their answers by their place; filled while the server works."""
    answers: dict[int, bytes] = {}

    def answered(raw: bytes, peer: Peer) -> None:
        place = peer.sockaddr[1]
        assert place not in answers, "one datagram, two answers"
        answers[place] = raw

    coap_rig.without_limits(rig)
    rig.server.udp.send_raw = answered  # type: ignore[method-assign]
    for place, raw in enumerate(sent):
        rig.server.udp.take(raw, Peer(("::ffff:127.0.0.1", place, 0, 0), None, raw))
    return answers


async def test_attack_amplification_before_authentication(rig: Rig) -> None:
    sent = list(corpus(rig.node()))
    answers = answers_to(rig, sent)
    await rig.server.site.idle()
    assert len(sent) > 400
    assert len(answers) > 150
    for place, answer in answers.items():
        assert len(answer) <= TIMES * len(sent[place]), (sent[place], answer)
        assert len(answer) <= len(sent[place]) + 8, "nor much more in bytes"
        assert sent[place][0] >> 4 & 3 == 0 or len(sent[place]) >= 21, "NON is not answered"
    worst = max(len(answer) / len(sent[place]) for place, answer in answers.items())
    assert worst <= 1.0, "no answer is longer than its request"


async def test_attack_amplification_by_a_recording_from_another_address(rig: Rig) -> None:
    node, link = rig.node(), rig.link()
    raw, _ = node.seal(fleet_rig.make_report(1, [1]))
    await link.exchange(raw)
    assert len(await rig.link().exchange(raw)) <= len(raw)


async def test_attack_amplification_by_repeats_ends(rig: Rig) -> None:
    """A recorded datagram with the node's own address as source: its answers go to the node."""
    node, link = rig.node(), rig.link()
    raw, _ = node.seal(fleet_rig.make_report(1, [1]))
    await link.exchange(raw)
    for _ in range(exchanges.RESENT):
        assert await link.exchange(raw)
    for _ in range(20):
        link.send(raw)
    await link.silence()


async def test_sabotage_a_talkative_answer_amplifies(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "LINKS", b"</sensors/temperature>;rt=temperature;ct=0," * 4)
    sent = [coap_rig.encoded(Message(code=GET, uri_path=(".well-known", "core")))]
    answers = answers_to(rig, sent)
    await rig.server.site.idle()
    assert len(answers[0]) > TIMES * len(sent[0])
