"""A stranger who knows a node's address and port, and the message ID that it will use next."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiocoap
import coap_rig
import fleet_rig
import pytest_asyncio
from aiocoap import CHANGED, Message, resource
from aiocoap.numbers import codes
from coap_rig import Rig


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with coap_rig.serving(tmp_path) as made:
        yield made


async def test_attack_spoofed_datagram_before_a_node_s_own(rig: Rig) -> None:
    """Same address, port, message ID and token: both are answered, each for itself."""
    node, link = rig.node(), rig.link()
    raw, request = node.seal(fleet_rig.make_report(1, [1]))
    spoofed = raw[:-1] + bytes([raw[-1] ^ 1])
    said = Message.decode(await link.exchange(spoofed))
    assert said.code == codes.BAD_REQUEST
    assert node.open(await link.exchange(raw), request).code == CHANGED
    raw, request = node.seal(fleet_rig.make_report(1, [2]))
    link.send(raw[:-1] + bytes([raw[-1] ^ 1]))
    link.send(raw)
    answers = [Message.decode(await link.receive()) for _ in range(2)]
    assert {answer.code for answer in answers} == {codes.BAD_REQUEST, CHANGED}
    assert {sequence for _, _, sequence in rig.stored()} == {1, 2}


async def test_attack_spoofed_reset_and_empty_datagrams_end_no_exchange(rig: Rig) -> None:
    node, link = rig.node(), rig.link()
    raw, request = node.seal(fleet_rig.make_report(1, [1]))
    link.send(raw)
    link.send(b"\x70\x00" + raw[2:4])
    link.send(b"\x60\x00" + raw[2:4])
    assert node.open(await link.receive(), request).code == CHANGED


class Slow(resource.Resource):  # type: ignore[misc]
    """Answers after a moment by what it was sent."""

    async def render_post(self, request: Message) -> Message:
        await asyncio.sleep(0.05)
        return Message(code=CHANGED, payload=request.payload)


async def test_sabotage_by_aiocoap_s_own_rule_the_node_s_datagram_is_lost() -> None:
    """It is taken for a repeat of the stranger's, and gets the stranger's answer."""
    site = resource.Site()
    site.add_resource([], Slow())
    server = await aiocoap.Context.create_server_context(
        site, bind=("127.0.0.1", 0), transports=["udp6"]
    )
    (interface,) = server.request_interfaces
    link = coap_rig.Link(interface.token_interface.message_interface._local_port())
    link.send(b"\x40\x02\x12\x34\xffstranger")
    link.send(b"\x40\x02\x12\x34\xffnode")
    assert b"stranger" in await link.receive()
    assert b"stranger" in await link.exchange(b"\x40\x02\x12\x34\xffnode")
    await server.shutdown()
