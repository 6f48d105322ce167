"""The node's MQTT client against a scripted broker: what it asks, and which answer it takes."""

import pytest
from node.errors import MqttError, TlsError

from tests.support.mqtt_peer import CONNACK, LONG_MS, Client, like_micropython, publish, start

TOPIC = "k1/1gntj14d2p/down/receipt"


@pytest.fixture(autouse=True)
def _asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    like_micropython(monkeypatch)


# -- connect ------------------------------------------------------------------------------------


async def test_connect_asks_for_a_clean_session() -> None:
    client = Client()
    client.peer.feed(CONNACK)
    await client.mqtt.connect(300, True, LONG_MS)
    expected = b"\x10\x16\x00\x04MQTT\x04\x02\x01\x2c\x00\x0a1gntj14d2p"
    assert await client.peer.sent(0x10) == expected


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 255])
async def test_refusal_carries_the_connack_code(code: int) -> None:
    client = Client()
    client.peer.feed(bytes((0x20, 2, 0, code)))
    with pytest.raises(MqttError) as caught:
        await client.mqtt.connect(300, True, LONG_MS)
    assert caught.value.cause == code
    with pytest.raises(MqttError):
        await client.mqtt.publish("t", b"", 0, LONG_MS)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x20\x02\x01\x00",  # a session is present, though a clean one was asked for
        b"\x20\x02\x02\x00",  # a reserved flag
        b"\x20\x03\x00\x00\x00",
        b"\x21\x02\x00\x00",
        b"\x40\x02\x00\x01",  # an answer before CONNACK
        b"\x30\x03\x00\x01t",  # a message before CONNACK
        b"\x00\x00",
        b"\xf0\x00",
        b"\x10\x00",  # what only a client sends
        b"\x20\xff\xff\xff\xff\x01",  # malformed remaining length
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_no_connection_by_a_broken_connack(answer: bytes) -> None:
    client = Client()
    client.peer.feed(answer)
    with pytest.raises(MqttError):
        await client.mqtt.connect(300, True, LONG_MS)


async def test_silence_ends_at_the_deadline() -> None:
    client = Client()
    with pytest.raises(MqttError, match="no CONNACK within 20 ms"):
        await client.mqtt.connect(300, True, 20)


async def test_peer_that_closes_is_told_at_once() -> None:
    client = Client()
    client.peer.end()
    with pytest.raises(TlsError):
        await client.mqtt.connect(300, True, LONG_MS)


async def test_connack_and_message_in_one_piece() -> None:
    client = Client()
    client.peer.feed(CONNACK + publish("t", b"1"))
    await client.mqtt.connect(300, True, LONG_MS)
    await client.mqtt.disconnect(LONG_MS)
    assert client.messages == [("t", b"1")]


# -- subscribe, publish, ping -------------------------------------------------------------------


async def test_subscribe_waits_for_its_suback() -> None:
    client = await Client().connect()
    task = start(client.mqtt.subscribe("k1/x/down/#", 0, LONG_MS))
    assert await client.peer.sent(0x82) == b"\x82\x10\x00\x01\x00\x0bk1/x/down/#\x00"
    client.peer.feed(b"\x90\x03\x00\x02\x00" + b"\x90\x03\x00\x01\x00")
    await task


@pytest.mark.parametrize("granted", [1, 2, 0x80])
async def test_subscription_refused(granted: int) -> None:
    client = await Client().connect()
    task = start(client.mqtt.subscribe("a", 0, LONG_MS))
    await client.peer.sent(0x82)
    client.peer.feed(bytes((0x90, 3, 0, 1, granted)))
    with pytest.raises(MqttError) as caught:
        await task
    assert caught.value.cause == granted


async def test_qos_0_does_not_wait() -> None:
    client = await Client().connect()
    await client.mqtt.publish("a/b", b"\x01\x02", 0, LONG_MS)
    assert await client.peer.sent(0x30) == b"\x30\x07\x00\x03a/b\x01\x02"


async def test_publish_waits_for_its_own_puback() -> None:
    client = await Client().connect()
    first = start(client.mqtt.publish("a", b"1", 1, LONG_MS))
    assert await client.peer.sent(0x32) == b"\x32\x06\x00\x01a\x00\x011"
    second = start(client.mqtt.publish("a", b"2", 1, LONG_MS))
    assert await client.peer.sent(0x32) == b"\x32\x06\x00\x01a\x00\x022"
    # A message and an acknowledgement of nothing come between, the second answer before the first.
    client.peer.feed(publish(TOPIC, b"x") + b"\x40\x02\x00\x63" + b"\x40\x02\x00\x02")
    await second
    assert not first.done()
    assert client.messages == [(TOPIC, b"x")]
    client.peer.feed(b"\x40\x02\x00\x01")
    await first


async def test_puback_with_a_wrong_id_is_ignored() -> None:
    client = await Client().connect()
    client.peer.feed(b"\x40\x02\x00\x02")
    with pytest.raises(MqttError, match="no PUBACK within 20 ms"):
        await client.mqtt.publish("a", b"1", 1, 20)
    client.peer.feed(b"\x40\x02\x00\x01")  # too late: given up
    task = start(client.mqtt.publish("a", b"1", 1, LONG_MS))
    await client.peer.sent(0x32)
    await client.peer.sent(0x32)
    client.peer.feed(b"\x40\x02\x00\x02")
    await task


async def test_packet_ids_go_round_without_zero() -> None:
    client = await Client().connect()
    client.mqtt._id = 0xFFFE
    for expected in (0xFFFF, 1):
        task = start(client.mqtt.publish("a", b"", 1, LONG_MS))
        sent = await client.peer.sent(0x32)
        assert int.from_bytes(sent[5:7], "big") == expected
        client.peer.feed(b"\x40\x02" + sent[5:7])
        await task


async def test_ping() -> None:
    client = await Client().connect()
    task = start(client.mqtt.ping(LONG_MS))
    assert await client.peer.sent(0xC0) == b"\xc0\x00"
    client.peer.feed(b"\xd0\x00")
    await task
    with pytest.raises(MqttError, match="no PINGRESP within 20 ms"):
        await client.mqtt.ping(20)


async def test_qos_1_message_is_acknowledged() -> None:
    client = await Client().connect()
    client.peer.feed(publish(TOPIC, b"x", 0x1234))
    assert await client.peer.sent(0x40) == b"\x40\x02\x12\x34"
    assert client.messages == [(TOPIC, b"x")]


async def test_disconnect_says_so_and_ends_the_use() -> None:
    client = await Client().connect()
    waiting = start(client.mqtt.publish("a", b"1", 1, LONG_MS))
    await client.peer.sent(0x32)
    await client.mqtt.disconnect(LONG_MS)
    assert await client.peer.sent(0xE0) == b"\xe0\x00"
    with pytest.raises(MqttError):
        await waiting
    with pytest.raises(MqttError):
        await client.mqtt.ping(LONG_MS)
