"""What a server says, good and hostile, at the node's small HTTP client."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from coap_peer import TICKS
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import LinkError, TlsError
from node.link import https
from node.wire import release

https.time = TICKS
DATA = bytes(n * 7 % 251 for n in range(5000))
SIZE = 256


class Stream:
    """TLS over a script: each request is answered by `say`, in pieces of any size."""

    def __init__(self, say: Callable[[str], bytes | None]) -> None:
        self.say = say
        self.asked: list[str] = []
        self.rest = bytearray()
        self.closed = 0
        self.ends = False  # behind what it says; else it is silent

    async def write(self, data: bytes) -> None:
        self.asked.append(data.decode())
        self.rest += self.say(data.decode()) or b""

    async def readinto(self, view: memoryview) -> None:
        if len(self.rest) < len(view):
            if self.ends:
                raise TlsError("the peer closed the connection")
            await asyncio.sleep(3600)
        view[:] = self.rest[: len(view)]
        del self.rest[: len(view)]

    async def close(self) -> None:
        self.closed += 1


def span(request: str) -> tuple[int, int]:
    line = next(each for each in request.split("\r\n") if each.startswith("Range: bytes="))
    first, last = line[13:].split("-")
    return int(first), int(last)


def served(request: str) -> bytes:
    """As a good server."""
    first, last = span(request)
    body = DATA[first : last + 1]
    head = f"HTTP/1.1 206 Partial Content\r\ncontent-length: {len(body)}\r\n"
    head += f"Content-Range: bytes {first}-{first + len(body) - 1}/{len(DATA)}\r\nX: y\r\n\r\n"
    return head.encode() + body


def door(say: Callable[[str], bytes | None]) -> tuple[Any, Stream]:
    made: Any = https.Https(None, {"host": "fleet.test", "updates": 8444})
    made._stream = Stream(say)
    return made, made._stream


def ask(
    made: Any, first: int, missing: bytes, size: int = SIZE, deadline_ms: int = 2000
) -> tuple[Any, dict[int, bytes]]:
    """The word, or the error; and what came."""
    came: dict[int, bytes] = {}

    async def main() -> int:
        word: int = await made.blocks(
            7, size, first, missing, lambda at, data: came.update({at: bytes(data)}), deadline_ms
        )
        return word

    try:
        return asyncio.run(main()), came
    except LinkError as e:
        return e, came


def test_one_request_for_each_run_of_missing_blocks() -> None:
    made, stream = door(served)
    word, came = ask(made, 2, bytes([0b10110001]))
    assert word == 0
    assert came == {n: DATA[SIZE * n : SIZE * n + SIZE] for n in (2, 4, 5, 9)}
    assert [span(each) for each in stream.asked] == [(512, 767), (1024, 1535), (2304, 2559)]
    assert stream.asked[0].startswith("GET /v1/updates/7 HTTP/1.1\r\nHost: fleet.test:8444\r\n")
    assert stream.closed == 0, "the next request goes over the same connection"


def test_the_last_block_is_shorter() -> None:
    made, _ = door(served)
    word, came = ask(made, 18, b"\xff")
    assert word == 0
    assert {n: len(data) for n, data in came.items()} == {18: 256, 19: 136}


@given(first=st.integers(0, 19), missing=st.binary(min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_whatever_is_missing_comes_and_nothing_else(first: int, missing: bytes) -> None:
    made, _ = door(served)
    wanted = {first + i for i in range(8 * len(missing)) if missing[i >> 3] & 128 >> (i & 7)}
    word, came = ask(made, first, missing)
    there = {n for n in wanted if n * SIZE < len(DATA)}
    if all(n * SIZE < len(DATA) for n in wanted):
        assert word == 0
    assert set(came) <= there
    assert all(data == DATA[SIZE * n : SIZE * n + SIZE] for n, data in came.items())


@pytest.mark.parametrize(
    ("status", "word"),
    [(410, release.GONE), (404, release.UNKNOWN), (416, release.UNKNOWN), (503, release.LATER)],
)
def test_words_of_the_fleet(status: int, word: int) -> None:
    made, stream = door(lambda _: b"HTTP/1.1 %d X\r\nContent-Length: 3\r\n\r\nabc" % status)
    assert ask(made, 0, b"\x80") == (word, {})
    assert stream.closed == 1


GOOD = b"HTTP/1.1 206 X\r\nContent-Length: 256\r\nContent-Range: bytes 0-255/5000\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "cause"),
    [
        (GOOD.replace(b"206", b"200"), 200),
        (GOOD.replace(b"206", b"403"), 403),
        (GOOD.replace(b"206", b"2O6"), 0),
        (GOOD.replace(b"HTTP/1.1", b"ICY/1.11"), 0),
        (GOOD.replace(b"bytes 0-", b"bytes 1-"), 0),
        (GOOD.replace(b"-255/", b"-254/"), 0),
        (GOOD.replace(b"-255/", b"-511/"), 0),
        (GOOD.replace(b"/5000", b"/200"), 0),
        (GOOD.replace(b"/5000", b"/-200"), 0),
        (GOOD.replace(b"/5000", b"/*"), 0),
        (GOOD.replace(b"Content-Range: bytes 0-255/5000", b"Content-Range: bytes */5000"), 0),
        (GOOD.replace(b"Content-Range: bytes 0-255/5000", b"X: y"), 0),
        (GOOD.replace(b"Length: 256", b"Length: 0"), 0),
        (GOOD.replace(b"Length: 256", b"Length: -256"), 0),
        (GOOD.replace(b"Length: 256", b"Length: 9999999999999"), 0),
        (GOOD.replace(b"Length: 256", b"Length: 512"), 0),
        (GOOD.replace(b"Length: 256", b"Length: 256\r\nTransfer-Encoding: chunked"), 0),
        (GOOD.replace(b"Content-Length", b"X" * 400), 0),
        (GOOD.replace(b"\r\n\r\n", b"\r\nA: b" * 100 + b"\r\n\r\n"), 0),
        (GOOD.replace(b" X\r\n", b" \xff\xfe\r\n"), 0),
    ],
)
def test_a_server_that_says_else_is_not_believed(head: bytes, cause: int) -> None:
    made, stream = door(lambda _: head + DATA[:256])
    error, came = ask(made, 0, b"\x80")
    assert isinstance(error, https.HttpError), error
    assert (error.code, error.cause) == (23, cause)
    assert came == {}
    assert stream.closed == 1
    assert isinstance(ask(made, 0, b"\x80")[0], https.HttpError), "it is shut"


@given(st.binary(max_size=600))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_blocks_or_an_error(raw: bytes) -> None:
    made, stream = door(lambda _: raw)
    stream.ends = True
    word, came = ask(made, 0, b"\x80")
    assert isinstance(word, https.HttpError | TlsError) or word in (0, 1, 2, 3)
    assert all(len(data) == SIZE for data in came.values())
    assert came or stream.closed == 1


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_head_never_moves_a_block(at: int, byte: int) -> None:
    head = bytearray(GOOD)
    head[at] = byte
    made, stream = door(lambda _: bytes(head) + DATA[:256])
    stream.ends = True
    _, came = ask(made, 0, b"\x80")
    assert came in ({}, {0: DATA[:256]}) or len(came[0]) == SIZE


def test_a_silent_server_costs_the_deadline_and_the_connection() -> None:
    made, stream = door(lambda _: None)
    assert ask(made, 0, b"\x80", deadline_ms=20) == (0, {})
    assert stream.closed == 1


def test_it_takes_the_place_of_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Any] = []

    class Door:
        def __init__(self, name: str) -> None:
            self.name = name

        async def close(self) -> None:
            log.append(("close", self.name))

        async def connect(self, host: str, port: int, _ms: int) -> str:
            log.append(("connect", self.name, host, port))
            return "socket"

    class Link:
        config = {"host": "fleet.test", "updates": 8444}  # noqa: RUF012
        modem = Door("modem")
        opened: list[Any] = []  # noqa: RUF012

    monkeypatch.setattr(https.stored, "credentials", lambda: {"ca": 1, "cert": 2, "key": 3})

    def secure(*given: Any) -> Stream:
        log.append(given)
        return Stream(served)

    monkeypatch.setattr(https, "credentials", lambda *given: given)
    monkeypatch.setattr(https, "secure", secure)
    for before, bearer in (([Door("mqtt")], "modem"), ([Door("ppp"), Door("mqtt")], "ppp")):
        Link.opened = list(before)
        made: Any = asyncio.run(https.instead(Link))
        assert Link.opened == [*before[:-1], made]
        assert log == [
            ("close", "mqtt"),
            ("connect", bearer, "fleet.test", 8444),
            ("socket", "fleet.test", (1, 2, 3), 90_000),
        ]
        log.clear()


def test_cancelled_it_is_shut() -> None:
    made, stream = door(lambda _: None)

    async def main() -> None:
        task: Awaitable[Any] = made.blocks(7, SIZE, 0, b"\x80", print, 60_000)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.05)

    asyncio.run(main())
    assert stream.closed == 1
