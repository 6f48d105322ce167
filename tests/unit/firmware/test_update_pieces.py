"""The doors' blocks, answered by a fleet that may say anything."""

import asyncio
import time
from typing import Any

import chip_asyncio  # noqa: F401 - wait_for_ms
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import CoapError, LinkError, MqttError
from node.link import coapblocks
from node.link.mqtt_door import MqttDoor
from node.wire import cbor, coap, release

CONTENT = 0x45
NODE = "1gntj14d2p"


def block2(value: bytes) -> tuple[int, int]:
    n = int.from_bytes(value, "big")
    return n >> 4, 16 << (n & 7)


class CoapServer:
    """Has a stream; `says` instead, for some block."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream
        self.asked: list[int] = []
        self.says: dict[int, tuple[int, list[tuple[int, bytes]], bytes]] = {}

    async def ask(self, code: int, options: Any, payload: bytes, last: int) -> Any:
        assert (code, payload, last) == (coap.GET, b"", 0)
        path, told = options[:-1], options[-1]
        assert path == [(coap.URI_PATH, b"u"), (coap.URI_PATH, b"7")]
        index, size = block2(told[1])
        self.asked.append(index)
        if index in self.says:
            return self.says[index]
        part = self.stream[index * size : (index + 1) * size]
        more = 8 if (index + 1) * size < len(self.stream) else 0
        value = (int.from_bytes(told[1], "big") | more).to_bytes(3, "big").lstrip(b"\0")
        return CONTENT, [(coap.ETAG, bytes(8)), (coap.BLOCK2, value)], part

    def pick(self, first: int, missing: bytes, size: int = 256) -> tuple[int, dict[int, bytes]]:
        took: dict[int, bytes] = {}
        word = asyncio.run(
            coapblocks.pick(self.ask, (b"u", b"7"), size, first, missing, took.__setitem__)
        )
        return word, took


STREAM = bytes(i % 253 for i in range(5000))


@given(st.integers(0, 19), st.binary(min_size=1, max_size=3))
def test_coap_gives_what_is_missing(first: int, missing: bytes) -> None:
    server = CoapServer(STREAM)
    word, took = server.pick(first, missing)
    wanted = [first + i for i in range(8 * len(missing)) if missing[i >> 3] & 128 >> (i & 7)]
    assert word == 0
    assert server.asked == wanted
    assert took == {i: STREAM[i * 256 : (i + 1) * 256] for i in wanted}


@pytest.mark.parametrize(
    ("code", "word"), [(0x83, release.GONE), (0x84, release.UNKNOWN), (0xA3, release.LATER)]
)
def test_coap_says_why_there_are_none(code: int, word: int) -> None:
    server = CoapServer(STREAM)
    server.says[2] = (code, [], b"")
    told, took = server.pick(0, b"\xf0")
    assert told == word
    assert list(took) == [0, 1], "what came is kept"


@pytest.mark.parametrize(
    "answer",
    [
        (0x80, [], b""), (0x44, [], b"x"), (CONTENT, [], b"x" * 256),
        (CONTENT, [(coap.BLOCK2, b"\x34")], b"x" * 256), (CONTENT, [(coap.BLOCK2, b"\x23")], b""),
        (CONTENT, [(coap.BLOCK2, b"\1\2\3\4")], b"x"),
    ],
)  # fmt: skip
def test_coap_takes_no_other_block_for_it(answer: Any) -> None:
    server = CoapServer(STREAM)
    server.says[2] = answer
    with pytest.raises(CoapError):
        server.pick(2, b"\x80")


class Mqtt:
    """As node.link.mqtt.Mqtt, as much of it as `blocks` needs."""

    def __init__(self, door: MqttDoor, answers: list[Any]) -> None:
        self.door = door
        self.answers = answers
        self.requests: list[Any] = []
        self.failure: Any = None

    async def publish(self, topic: str, payload: bytes, qos: int, deadline_ms: int) -> None:
        assert (topic, qos) == (f"k1/{NODE}/up/block", 0)
        self.requests.append(cbor.decode(payload))
        asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        for one in self.answers:
            if isinstance(one, Exception):
                self.failure = one
                self.door._on_lost(one)
            else:
                topic, payload = one if isinstance(one, tuple) else (f"k1/{NODE}/down/block", one)
                self.door._on_message(topic, payload)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_add", lambda a, b: a + b, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)


def ask(answers: list[Any], first: int = 3, missing: bytes = b"\xe0") -> Any:
    door: Any = MqttDoor(None, {"node": NODE, "host": "", "port": 0})
    door._mqtt = Mqtt(door, answers)
    took: list[tuple[int, bytes]] = []

    async def go() -> int:
        word: int = await door.blocks(
            7, 512, first, missing, lambda index, data: took.append((index, data)), 50
        )
        return word

    word = asyncio.run(go())
    assert door._mqtt.requests == [[7, 512, first, missing]]
    return word, took


def says(index: Any, data: Any, number: Any = 7) -> bytes:
    raw: bytes = cbor.encode([number, index, data])
    return raw


def test_mqtt_gives_what_is_missing_in_any_order() -> None:
    assert ask([says(5, b"c"), says(3, b"a"), says(4, b"b")]) == (
        0, [(5, b"c"), (3, b"a"), (4, b"b")],
    )  # fmt: skip


def test_mqtt_what_does_not_come_ends_by_itself() -> None:
    assert ask([says(3, b"a")]) == (0, [(3, b"a")])
    assert ask([]) == (0, [])


@pytest.mark.parametrize("word", [release.GONE, release.UNKNOWN, release.LATER])
def test_mqtt_says_why_there_are_none(word: int) -> None:
    assert ask([says(3, b"a"), says(4, word)]) == (word, [(3, b"a")])


def test_mqtt_hears_nothing_else() -> None:
    noise = [
        b"", b"\xff", cbor.encode(7), cbor.encode([7, 3]), says(9, b"x"), says(3, b"x", 8),
        says([3], b"x"), says("3", b"x"), says(None, b"x"), says(3, "x"), says(3, 99),
        says(3, None), says(True, b"x"), (f"k1/{NODE}/down/receipt", says(3, b"x")),
    ]  # fmt: skip
    assert ask([*noise, says(3, b"a"), says(3, b"again"), says(4, b"b"), says(5, b"c")])[1] == [
        (3, b"a"), (4, b"b"), (5, b"c"),
    ]  # fmt: skip


def test_mqtt_says_that_it_is_lost() -> None:
    with pytest.raises(LinkError):
        ask([says(3, b"a"), MqttError("gone")])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=5))
def test_mqtt_any_payload_is_taken_or_left(payloads: list[bytes]) -> None:
    word, took = ask([*payloads, says(3, b"a"), says(4, b"b"), says(5, b"c")])
    assert word in (0, release.GONE, release.UNKNOWN, release.LATER)
    assert {index for index, _ in took} <= {3, 4, 5}


def test_mqtt_nothing_is_asked_through_a_door_that_is_shut() -> None:
    door: Any = MqttDoor(None, {"node": NODE, "host": "", "port": 0})
    with pytest.raises(MqttError):
        asyncio.run(door.blocks(7, 512, 0, b"\x80", print, 50))
