"""The door by MQTT over a connection of the test's: deadlines, topics, and what it believes."""

import asyncio
import types
from typing import Any

import chip_asyncio  # noqa: F401  MicroPython's names in asyncio
import pytest
from node.errors import DeliverTimeout, MqttError, SocketError
from node.link import mqtt_door
from node.wire import receipt

NODE = "1gntj14d2p"
WHOLE = receipt.encode(77, [(1, 3)])
OTHER = receipt.encode(77, [(9, 9)])
RECEIPTS = f"k1/{NODE}/down/receipt"


class Connection:
    """Socket, TLS and MQTT in one: what the door did with them, and how they fail."""

    def __init__(self) -> None:
        self.did: list[Any] = []
        self.failing = ""
        self.on_message: Any = None
        self.on_lost: Any = None
        self.at_publish: Any = lambda: None

    def fail(self, what: str) -> None:
        if self.failing == what:
            raise (SocketError if what == "socket" else MqttError)(what)

    # As modem
    async def connect(self, host: str, port: int, timeout_ms: int) -> str:
        self.did.append(("socket", host, port, timeout_ms))
        self.fail("socket")
        return "socket"

    # As node.link.tls
    def credentials(self, *parts: bytes) -> tuple[bytes, ...]:
        return parts

    def secure(self, socket: Any, host: str, credentials: Any, timeout_ms: int) -> Any:
        self.did.append(("tls", socket, host, credentials, timeout_ms))
        return types.SimpleNamespace(close=self.closed("stream"))

    def closed(self, what: str) -> Any:
        async def close(*more: int) -> None:
            self.did.append((what, *more))
            self.fail(what)

        return close

    # As node.link.mqtt.Mqtt
    def mqtt(self, stream: Any, name: str, on_message: Any, on_lost: Any) -> Any:
        assert name == NODE
        self.on_message, self.on_lost = on_message, on_lost

        async def connect(keepalive_s: int, clean: bool, timeout_ms: int) -> None:
            self.did.append(("connect", keepalive_s, clean, timeout_ms))
            self.fail("connect")

        async def subscribe(topic: str, qos: int, timeout_ms: int) -> None:
            self.did.append(("subscribe", topic, qos, timeout_ms))
            self.fail("subscribe")

        async def publish(topic: str, payload: bytes, qos: int, timeout_ms: int) -> None:
            self.did.append(("publish", topic, payload, qos, timeout_ms))
            self.at_publish()
            self.fail("publish")

        return types.SimpleNamespace(
            connect=connect, subscribe=subscribe, publish=publish,
            disconnect=self.closed("disconnect"),
        )  # fmt: skip


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Connection:
    made = Connection()
    monkeypatch.setattr(mqtt_door, "tls", made)
    monkeypatch.setattr(mqtt_door, "Mqtt", made.mqtt)
    clock = types.SimpleNamespace(
        ticks_ms=lambda: int(asyncio.get_running_loop().time() * 1000),
        ticks_add=lambda a, b: a + b,
        ticks_diff=lambda a, b: a - b,
    )
    monkeypatch.setattr(mqtt_door, "time", clock)
    return made


def made(line: Connection) -> Any:
    config = {
        "host": "fleet", "port": 8883, "node": NODE, "ca": b"ca", "cert": b"cert", "key": b"key",
        "room": [1],
    }  # fmt: skip
    door = mqtt_door.MqttDoor(line, config)
    door.given = config
    return door


async def opened(line: Connection) -> Any:
    door = made(line)
    await door.open()
    line.did.clear()
    return door


async def test_it_opens_step_by_step_each_with_its_time(line: Connection) -> None:
    door = made(line)
    await door.open()
    assert line.did == [
        ("socket", "fleet", 8883, 75_000),
        ("tls", "socket", "fleet", (b"ca", b"cert", b"key"), 90_000),
        ("connect", 300, True, 120_000),
        ("subscribe", f"k1/{NODE}/down/#", 0, 30_000),
    ]
    assert door.given == {"host": "fleet", "port": 8883, "node": NODE, "room": []}


@pytest.mark.parametrize(
    ("failing", "left"),
    [
        ("socket", []),
        ("connect", [("disconnect", 5000), ("stream",)]),
        ("subscribe", [("disconnect", 5000), ("stream",)]),
    ],
)
async def test_what_fails_is_told_and_nothing_stays_open(
    line: Connection, failing: str, left: list[Any]
) -> None:
    door = made(line)
    line.failing = failing
    with pytest.raises((SocketError, MqttError), match=failing):
        await door.open()
    assert [each for each in line.did if each[0] in ("disconnect", "stream")] == left
    with pytest.raises(MqttError, match="not open"):
        await door.deliver(b"report", WHOLE, 100, True)
    with pytest.raises(MqttError, match="not open"):
        await door.blocks(1, 2, 3, b"", None, 100)


async def test_a_receipt_ends_the_wait(line: Connection) -> None:
    door = await opened(line)
    line.at_publish = lambda: line.on_message(RECEIPTS, WHOLE)
    assert await door.deliver(b"report", WHOLE, 9000, True) == WHOLE
    assert line.did == [("publish", f"k1/{NODE}/up/report", b"report", 1, 9000)]


async def test_one_that_comes_later_does_too(line: Connection) -> None:
    door = await opened(line)
    asyncio.get_running_loop().call_later(0.05, lambda: line.on_message(RECEIPTS, WHOLE))
    assert await door.deliver(b"report", WHOLE, 9000, False) == WHOLE


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (RECEIPTS, OTHER),
        (RECEIPTS, b""),
        (f"k1/{NODE}/down/config", WHOLE),
        ("k1/another/down/receipt", WHOLE),
    ],
)
async def test_a_puback_alone_is_no_receipt_nor_is_anything_else(
    line: Connection, topic: str, payload: bytes
) -> None:
    door = await opened(line)
    line.at_publish = lambda: line.on_message(topic, payload)
    with pytest.raises(DeliverTimeout):
        await door.deliver(b"report", WHOLE, 50, True)
    line.at_publish = lambda: line.on_message(RECEIPTS, WHOLE)
    assert await door.deliver(b"report", WHOLE, 9000, True) == WHOLE, "the next one is heard"


async def test_a_receipt_of_before_is_none_for_the_next_report(line: Connection) -> None:
    door = await opened(line)
    line.on_message(RECEIPTS, WHOLE)
    with pytest.raises(DeliverTimeout):
        await door.deliver(b"report", WHOLE, 50, True)


@pytest.mark.parametrize("received", [False, True])
async def test_a_connection_that_is_lost_is_told_unless_the_receipt_is_there(
    line: Connection, received: bool
) -> None:
    door = await opened(line)
    line.failing = "publish"
    line.at_publish = lambda: received and line.on_message(RECEIPTS, WHOLE)
    if received:
        assert await door.deliver(b"report", WHOLE, 100, True) == WHOLE
        return
    with pytest.raises(MqttError, match="publish"):
        await door.deliver(b"report", WHOLE, 100, True)
    line.failing = ""
    line.at_publish = lambda: line.on_lost(SocketError("gone"))
    with pytest.raises(SocketError, match="gone"):
        await door.deliver(b"report", WHOLE, 9000, True)


async def test_it_asks_for_nothing_and_fetches_nothing(line: Connection) -> None:
    door = await opened(line)
    assert await door.poll(100) == receipt.encode(0, [])
    with pytest.raises(MqttError, match="item 7"):
        await door.fetch(7, 10, 100)


async def test_it_is_closed_once_and_in_order(line: Connection) -> None:
    door = await opened(line)
    for failing in ("disconnect", "stream"):
        line.failing = failing
        await door.close()
    assert line.did == [("disconnect", 5000), ("stream",)]


async def test_a_socket_without_tls_is_closed_too(line: Connection) -> None:
    door = made(line)
    door._socket = types.SimpleNamespace(close=line.closed("bare"))
    await door.close()
    assert line.did == [("bare",)]


# Frames of a bus


async def test_frames_are_said_and_heard_in_order(line: Connection) -> None:
    door = await opened(line)
    bus = f"k1/{NODE}/down/bus"
    line.on_message(bus, b"early")  # nobody listens yet
    await door.say(b"one", 700)
    await door.say(b"two", 700)
    assert line.did == [
        ("publish", f"k1/{NODE}/up/bus", word, 0, 700) for word in (b"one", b"two")
    ]
    for n in range(6):
        line.on_message(bus, b"%d" % n)
    assert [await door.hear(50) for _ in range(5)] == [b"0", b"1", b"2", b"3", None]


async def test_one_that_comes_while_it_is_listened_for(line: Connection) -> None:
    door = await opened(line)
    await door.say(b"", 700)
    asyncio.get_running_loop().call_later(
        0.05, lambda: line.on_message(f"k1/{NODE}/down/bus", b"frame")
    )
    assert await door.hear(9000) == b"frame"


async def test_listening_ends_with_its_time_and_with_the_connection(line: Connection) -> None:
    door = await opened(line)
    await door.say(b"", 700)
    assert await door.hear(0) is None
    assert await door.hear(-5) is None
    asyncio.get_running_loop().call_later(0.05, lambda: line.on_lost(MqttError("gone")))
    began = asyncio.get_running_loop().time()
    assert await door.hear(9000) is None
    assert asyncio.get_running_loop().time() - began < 5
