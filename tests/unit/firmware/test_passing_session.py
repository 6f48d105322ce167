"""A session in which a master station asks the bus itself: its words, its time, its end."""

import asyncio
import sys
import types
from typing import Any

import pytest
from firmware_modules import fresh
from node.wire import cbor, modbus

READ = modbus.read_request(7, 3, 0, 2)
ANSWER = bytes((7, 3, 4, 0, 1, 0, 2))


class Session:
    """A door whose messages are given, a bus that answers, and time, in ms."""

    def __init__(self) -> None:
        self.ms = 0
        self.messages: list[Any] = []
        self.said: list[Any] = []
        self.heard: list[int] = []
        self.asked: list[Any] = []
        self.lines: list[Any] = []
        self.closed = 0
        self.answer: Any = lambda: ANSWER
        self.lost = False

    async def say(self, payload: bytes, deadline_ms: int) -> None:
        assert deadline_ms == 15_000
        if self.lost:
            raise OSError("gone")
        self.said.append(cbor.decode(payload))

    async def hear(self, deadline_ms: int) -> bytes | None:
        self.heard.append(deadline_ms)
        if not self.messages:
            self.ms += deadline_ms
            return None
        after, message = self.messages.pop(0)
        self.ms += after
        return message if isinstance(message, bytes) else bytes(cbor.encode(message))

    def bus(self, pins: Any) -> Any:
        async def ask(*question: Any) -> bytes:
            self.asked.append(question)
            found: bytes = self.answer()
            return found

        def close() -> None:
            self.closed += 1

        assert pins == {"bus_tx": 1}
        return types.SimpleNamespace(
            line=lambda *how: self.lines.append(how), ask=ask, close=close
        )


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Session()
    monkeypatch.setitem(sys.modules, "machine", types.ModuleType("machine"))
    fresh("sense.bus")
    module = fresh("passing")
    monkeypatch.setattr(module, "Bus", made.bus)
    clock = types.SimpleNamespace(
        ticks_ms=lambda: made.ms, ticks_add=lambda a, b: a + b, ticks_diff=lambda a, b: a - b
    )
    monkeypatch.setattr(module, "time", clock)
    made.module = module  # type: ignore[attr-defined]
    return made


def serve(session: Any, seconds: int = 60, left_ms: int = 100_000) -> None:
    how = (seconds, 9600, 1)
    asyncio.run(session.module.serve(session, {"bus_tx": 1}, how, left_ms))


def test_it_begins_and_ends_with_a_word(session: Any) -> None:
    serve(session)
    assert session.said == [[0, 60], [0, 0]]
    assert session.lines == [(9600, 1)]
    assert session.closed == 1
    assert session.heard == [60_000]


@pytest.mark.parametrize(
    ("seconds", "left_ms", "told"), [(60, 10_999, 10), (5, 9000, 5), (1, 1000, 1)]
)
def test_it_is_no_longer_than_was_asked_nor_than_the_wake(
    session: Any, seconds: int, left_ms: int, told: int
) -> None:
    serve(session, seconds, left_ms)
    assert session.said[0] == [0, told]
    assert session.ms == min(1000 * seconds, left_ms)


@pytest.mark.parametrize("left_ms", [0, -1])
def test_without_time_there_is_none(session: Any, left_ms: int) -> None:
    serve(session, 60, left_ms)
    assert session.said == []
    assert session.closed == 0


def test_a_question_is_passed_with_its_number(session: Any) -> None:
    session.messages = [(100, [5, READ]), (100, [6, READ])]
    serve(session)
    assert session.said == [[0, 60], [5, ANSWER], [6, ANSWER], [0, 0]]
    assert session.asked == [(READ, modbus.reply_length, 7, 2000)] * 2
    assert session.heard == [60_000, 59_900, 59_800]


def test_a_device_that_does_not_answer_and_a_frame_that_may_not_pass(session: Any) -> None:
    def silent() -> bytes:
        raise session.module.BusTimeout(3)

    session.answer = silent
    session.messages = [
        (1, [5, READ]),
        (1, [6, b"\x07\x06\x00\x00\x00\x01\x48\x6c"]),
        (1, [7, b""]),
    ]
    serve(session)
    assert session.said[1:-1] == [[5, 0], [6, 1], [7, 1]]
    assert len(session.asked) == 1


@pytest.mark.parametrize(
    "message",
    [b"", b"\xff", [], [5], [5, READ, 0], {5: READ}, ["5", READ], [5, "x"], [5, None],
     [5, bytes(257)]],
)  # fmt: skip
def test_what_is_no_question_is_not_answered(session: Any, message: Any) -> None:
    session.messages = [(1, message), (1, [6, READ])]
    serve(session)
    assert session.said == [[0, 60], [6, ANSWER], [0, 0]]


def test_a_frame_of_256_bytes_is_a_question(session: Any) -> None:
    session.messages = [(1, [5, bytes(256)])]
    serve(session)
    assert session.said[1] == [5, 1]


def test_time_that_is_over_ends_it_whatever_waits(session: Any) -> None:
    session.messages = [(60_000, [5, READ]), (1, [6, READ])]
    serve(session)
    assert session.said == [[0, 60], [5, ANSWER], [0, 0]]


def test_a_lost_door_lets_go_of_the_line(session: Any) -> None:
    session.lost = True
    with pytest.raises(OSError, match="gone"):
        serve(session)
    assert session.closed == 1
