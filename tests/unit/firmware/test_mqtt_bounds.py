"""The node's MQTT client against what a broker must not send, in pieces and in any size."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import LinkError, MqttError, TlsError
from node.link import mqtt as mqtt_module
from node.link.mqtt import MAX_PACKET

from tests.support.mqtt_peer import (
    CONNACK,
    LONG_MS,
    Client,
    like_micropython,
    publish,
    start,
    wait_for_ms,
)

TOPIC = "k1/1gntj14d2p/down/receipt"


@pytest.fixture(autouse=True)
def _asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    like_micropython(monkeypatch)


# -- sizes and fragments ------------------------------------------------------------------------


async def test_split_at_every_byte_boundary() -> None:
    stream = publish(TOPIC, b"y" * 200) + b"\x40\x02\x00\x01" + publish(TOPIC, b"z", 7)
    for at in range(1, len(stream)):
        client = await Client().connect()
        task = start(client.mqtt.publish("a", b"1", 1, LONG_MS))
        await client.peer.sent(0x32)
        client.peer.feed(stream[:at])
        for _ in range(4):
            await asyncio.sleep(0)
        client.peer.feed(stream[at:])
        await task
        await client.peer.sent(0x40)
        assert client.messages == [(TOPIC, b"y" * 200), (TOPIC, b"z")], at


async def test_largest_packet_passes() -> None:
    client = await Client().connect()
    body = b"p" * (MAX_PACKET - 3 - 2 - len(TOPIC))
    assert len(publish(TOPIC, body)) == MAX_PACKET
    client.peer.feed(publish(TOPIC, body))
    await client.mqtt.publish(TOPIC, body, 0, LONG_MS)
    task = start(client.mqtt.ping(LONG_MS))
    await client.peer.sent(0x30)
    await client.peer.sent(0xC0)
    client.peer.feed(b"\xd0\x00")
    await task
    assert client.messages == [(TOPIC, body)]


@pytest.mark.parametrize(
    "head",
    [
        b"\x30\xfe\x1f",  # one byte over the limit
        b"\x30\xff\xff\x7f",
        b"\x30\xff\xff\xff\x7f",  # 256 MB
    ],
)
async def test_oversized_packet_is_refused_before_its_body(head: bytes) -> None:
    client = await Client().connect()
    client.peer.feed(head)
    error = await client.error()
    assert isinstance(error, MqttError)
    assert "over 4096 bytes" in str(error)
    with pytest.raises(MqttError):
        await client.mqtt.ping(LONG_MS)


async def test_sabotage_without_the_limit_the_node_wants_256_megabytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt_module, "MAX_PACKET", 1 << 28)
    client = await Client().connect()
    wanted = asyncio.Event()
    read = client.peer.readexactly

    async def readexactly(n: int) -> bytearray:
        if n > 4096:
            wanted.set()
        return await read(n)

    monkeypatch.setattr(client.peer, "readexactly", readexactly)
    # The read under way is the unpatched one: it takes the first byte.
    client.peer.feed(b"\x30\xf0\xff\xff\x7f")
    await asyncio.wait_for(wanted.wait(), 2)
    assert not client.lost


async def test_own_packets_are_bounded() -> None:
    client = await Client().connect()
    with pytest.raises(MqttError, match="at most 4096"):
        await client.mqtt.publish("a", b"x" * MAX_PACKET, 1, LONG_MS)
    with pytest.raises(MqttError, match="65,535"):
        await client.mqtt.publish("a" * 65536, b"", 1, LONG_MS)
    assert client.peer.packets == []


@pytest.mark.parametrize(
    "bad",
    [
        b"\x30\x00",
        b"\x30\x01\x00",
        b"\x30\x02\x00\x00",  # an empty topic
        b"\x30\x03\x00\x02a",  # a topic longer than the packet
        b"\x32\x03\x00\x01a",  # QoS 1 without an id
        b"\x34\x05\x00\x01a\x00\x01",  # QoS 2 was never granted
        b"\x36\x05\x00\x01a\x00\x01",
        b"\x30\x03\x00\x01\xff",  # not UTF-8
        b"\x40\x03\x00\x01\x00",
        b"\x42\x02\x00\x01",
        b"\x90\x02\x00\x01",
        b"\xd0\x01\x00",
        b"\x20\x02\x00\x00",  # a second CONNACK
        b"\x50\x02\x00\x01",
        b"\x30\x80\x80\x80\x80\x00",
    ],
)
async def test_broken_packet_ends_the_connection(bad: bytes) -> None:
    client = await Client().connect()
    task = start(client.mqtt.publish("a", b"1", 1, LONG_MS))
    await client.peer.sent(0x32)
    client.peer.feed(bad)
    with pytest.raises(MqttError):
        await task
    assert isinstance(client.lost[0], MqttError)
    assert client.messages == []


async def test_lost_connection_ends_every_wait() -> None:
    client = await Client().connect()
    tasks = [start(client.mqtt.publish("a", b"1", 1, LONG_MS)) for _ in range(3)]
    tasks.append(start(client.mqtt.ping(LONG_MS)))
    await client.peer.sent(0x32)
    client.peer.end()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(r) for r in results] == [TlsError] * 4
    assert len(client.lost) == 1


# -- garbage ------------------------------------------------------------------------------------

_PIECES = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda head, body: bytes((head, len(body))) + body,
        st.integers(0, 255),
        st.binary(max_size=60),
    ),
    st.builds(publish, st.text(max_size=9), st.binary(max_size=40), st.integers(0, 65535)),
    st.sampled_from([CONNACK, b"\x40\x02\x00\x01", b"\x90\x03\x00\x01\x00", b"\xd0\x00"]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=6), st.booleans())
def test_garbage_gives_a_link_error_and_never_a_hang(pieces: list[bytes], shaken: bool) -> None:
    asyncio.run(_garbage(b"".join(pieces), shaken))


async def _garbage(data: bytes, shaken: bool) -> None:
    asyncio.wait_for_ms = wait_for_ms  # type: ignore[attr-defined]
    client = Client()
    client.peer.feed((CONNACK if shaken else b"") + data)
    client.peer.end()
    async with asyncio.timeout(1):
        with suppress(LinkError):
            await client.mqtt.connect(300, True, 500)
        with suppress(LinkError):
            await client.mqtt.subscribe("a", 0, 500)
        with suppress(LinkError):
            await client.mqtt.publish("a", b"1", 1, 500)
        with suppress(LinkError):
            await client.mqtt.ping(500)
        with suppress(LinkError):
            await client.mqtt.disconnect(500)
