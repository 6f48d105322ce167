"""Block-wise transfer of the node (RFC 7959) against a server that has every right to refuse."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import CoapError
from node.link import coapblocks
from node.wire import coap

CONTINUE, CONTENT, CHANGED, INCOMPLETE, TOO_LARGE = 0x5F, 0x45, 0x44, 0x88, 0x8D
SIZES = st.sampled_from([16, 32, 64, 128, 256, 512, 1024])
Answer = tuple[int, list[tuple[int, bytes]], bytes]


def block(number: int, more: bool, size: int) -> bytes:
    value = number << 4 | more << 3 | (size.bit_length() - 5)
    return value.to_bytes(3, "big").lstrip(b"\0")


def parsed(value: bytes) -> tuple[int, bool, int]:
    n = int.from_bytes(value, "big")
    return n >> 4, bool(n & 8), 16 << (n & 7)


class Server:
    """Takes an upload and gives a download, in blocks of at most `size`; loses what it has once
    before the block of each index in `loses`."""

    def __init__(self, size: int = 1024, held: bytes = b"", loses: tuple[int, ...] = ()) -> None:
        self.size, self.held, self.loses = size, held, set(loses)
        self.taken = b""
        self.asked: list[tuple[int, bool, int]] = []
        self.releases: list[int] = []
        self.etag = b"\x01"

    async def ask(self, code: int, options: Any, payload: bytes, release: int) -> Answer:
        options = list(options)
        assert options == sorted(options, key=lambda o: o[0])
        self.releases.append(release)
        if code == coap.POST:
            ((number, value),) = options
            assert number == coap.BLOCK1
            self.asked.append(parsed(value))
            assert block(*self.asked[-1]) == value, "the shortest form"
            return self.upload(*self.asked[-1], payload)
        assert (code, payload) == (coap.GET, b"")
        assert options[:-1] == [(coap.URI_PATH, b"d"), (coap.URI_PATH, b"7")]
        assert options[-1][0] == coap.BLOCK2
        self.asked.append(parsed(options[-1][1]))
        return self.download(*self.asked[-1])

    def upload(self, number: int, more: bool, size: int, payload: bytes) -> Answer:
        if number == 0:
            self.taken = b""
            if size > self.size and more and len(self.asked) == 1:
                return TOO_LARGE, [(coap.BLOCK1, block(0, more, self.size))], b""
        if len(self.asked) - 1 in self.loses:
            self.taken = b""
            return INCOMPLETE, [], b""
        if len(self.taken) != number * size:
            return INCOMPLETE, [], b""
        assert len(payload) == size or (not more and 0 < len(payload) <= size)
        self.taken += payload
        echoed = [(coap.BLOCK1, block(number, more, size))]
        return (CONTINUE if more else CHANGED), echoed, b"" if more else b"receipt"

    def download(self, number: int, more: bool, size: int) -> Answer:
        assert not more
        smaller = min(size, self.size)
        at = number * size
        part = self.held[at : at + smaller]
        rest = at + smaller < len(self.held)
        told = block(at // smaller, rest, smaller)
        return CONTENT, [(coap.ETAG, self.etag), (coap.BLOCK2, told)], part


async def fetch(server: Any, most: int = 65535, size: int = 512) -> bytes:
    got: bytes = await coapblocks.download(server.ask, (b"d", b"7"), most, size)
    return got


@given(st.binary(min_size=1, max_size=3000), SIZES, SIZES, st.integers(0, 2))
@settings(max_examples=150)
def test_any_payload_arrives_whole(payload: bytes, mine: int, theirs: int, release: int) -> None:
    server = Server(theirs)
    got = asyncio.run(coapblocks.upload(server.ask, payload, mine, release))
    assert (got[0], got[2], server.taken) == (CHANGED, b"receipt", payload)
    assert server.releases == [0] * (len(server.asked) - 1) + [release]


@given(st.binary(min_size=1, max_size=3000), SIZES, SIZES)
@settings(max_examples=150)
def test_any_payload_is_fetched_whole(payload: bytes, mine: int, theirs: int) -> None:
    server = Server(theirs, payload)
    assert asyncio.run(fetch(server, len(payload), mine)) == payload
    assert len(server.asked) <= 1 + -(-len(payload) // min(mine, theirs))


@given(st.binary(min_size=1, max_size=600), st.integers(0, 40))
def test_a_server_that_lost_what_it_had_gets_it_anew_once(payload: bytes, when: int) -> None:
    server = Server(loses=(when,))
    got = asyncio.run(coapblocks.upload(server.ask, payload, 16, 0))
    assert (got[0], server.taken) == (CHANGED, payload)


@pytest.mark.parametrize("more", [True, False])
async def test_a_server_that_loses_it_twice_is_given_up(more: bool) -> None:
    server = Server(loses=(1, 3) if more else (2, 5))
    sent = coapblocks.upload(server.ask, bytes(48), 16, 0)
    if more:
        with pytest.raises(CoapError, match=r"refused with 4\.08") as caught:
            await sent
        assert caught.value.cause == INCOMPLETE
    else:
        assert (await sent)[0] == INCOMPLETE
    assert len(server.asked) == (4 if more else 6)


class Script:
    """Answers one after the other, whatever is asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []

    async def ask(self, code: int, options: Any, payload: bytes, release: int) -> Answer:
        self.asked.append(list(options)[-1][1])
        return self.answers.pop(0)


def told(number: int, more: bool, size: int, code: int = CONTINUE) -> Answer:
    return code, [(coap.BLOCK1, block(number, more, size))], b""


async def test_a_smaller_size_is_taken_from_the_next_block_on() -> None:
    server = Script(told(0, True, 32), told(4, True, 32), told(5, False, 32, CHANGED))
    await coapblocks.upload(server.ask, bytes(128 + 64), 128, 0)
    assert [parsed(b) for b in server.asked] == [(0, True, 128), (4, True, 32), (5, False, 32)]


async def test_the_first_block_too_large_is_sent_anew_in_smaller_ones() -> None:
    server = Script(told(0, True, 32, TOO_LARGE), told(0, True, 32), told(1, False, 32, CHANGED))
    await coapblocks.upload(server.ask, bytes(64), 64, 0)
    assert [parsed(b) for b in server.asked] == [(0, False, 64), (0, True, 32), (1, False, 32)]


@pytest.mark.parametrize("size", [64, 128])
async def test_too_large_without_a_smaller_size_is_final(size: int) -> None:
    with pytest.raises(CoapError) as caught:
        await coapblocks.upload(Script(told(0, True, size, TOO_LARGE)).ask, bytes(128), 64, 0)
    assert caught.value.cause == TOO_LARGE
    answer: Answer = TOO_LARGE, [], b""
    assert (await coapblocks.upload(Script(answer).ask, bytes(64), 64, 0))[0] == TOO_LARGE


@pytest.mark.parametrize("code", [CHANGED, CONTENT, 0x80, 0x81, 0x84, 0xA0, 0xA3, 0xFF, 0])
async def test_a_block_that_is_not_continued_is_no_success(code: int) -> None:
    """An early 2.04 would else stand for the receipt of what was never sent."""
    with pytest.raises(CoapError) as caught:
        await coapblocks.upload(Script((code, [], b"")).ask, bytes(128), 64, 0)
    assert caught.value.cause == code


BAD_BLOCKS = [b"\x07", b"\xff", b"\x00\x00\x00\x05", bytes(300)]


@pytest.mark.parametrize("bad", BAD_BLOCKS)
async def test_a_block_option_that_is_none_ends_it(bad: bytes) -> None:
    with pytest.raises(CoapError):
        await coapblocks.upload(Script((CONTINUE, [(27, bad)], b"")).ask, bytes(128), 64, 0)
    with pytest.raises(CoapError):
        await fetch(Script((CONTENT, [(23, bad)], bytes(512))))


def part(number: int, more: bool, size: int, length: int, etag: bytes | None = None) -> Answer:
    options = [(coap.BLOCK2, block(number, more, size))]
    if etag is not None:
        options.insert(0, (coap.ETAG, etag))
    return CONTENT, options, bytes(length)


@pytest.mark.parametrize(
    "answers",
    [
        [part(1, True, 512, 512)],
        [part(0, True, 512, 512), part(0, True, 512, 512)],
        [part(0, True, 512, 512), part(2, False, 512, 5)],
        [part(0, True, 512, 512), part(1, False, 256, 5)],
        [part(0, True, 512, 512), (CONTENT, [], b"whole")],
        [part(0, True, 512, 511)],
        [part(0, True, 512, 513)],
        [part(0, True, 512, 0)],
        [part(0, True, 1024, 1024)],
        [part(0, True, 512, 512, b"1"), part(1, False, 512, 5, b"2")],
        [part(0, True, 512, 512, b"1"), part(1, False, 512, 5)],
        [part(0, True, 512, 512), part(1, True, 512, 512), part(2, False, 512, 2)],
        [part(0, False, 512, 1026)],
    ],
)
async def test_what_does_not_fit_together_is_not_fetched(answers: list[Answer]) -> None:
    with pytest.raises(CoapError):
        await fetch(Script(*answers), most=1025)


@pytest.mark.parametrize("code", [CHANGED, CONTINUE, 0x84, 0xA3])
async def test_what_is_no_content_is_told(code: int) -> None:
    with pytest.raises(CoapError) as caught:
        await fetch(Script((code, [], b"x")))
    assert caught.value.cause == code


async def test_what_fits_one_answer_needs_no_block_option() -> None:
    assert await fetch(Script((CONTENT, [], b"short"))) == b"short"


async def test_attack_fragment_bomb_ends_at_what_was_told() -> None:
    """A server that never comes to an end."""

    class Endless(Script):
        async def ask(self, code: int, options: Any, payload: bytes, release: int) -> Answer:
            self.asked.append(list(options)[-1][1])
            number, _, size = parsed(self.asked[-1])
            return part(number, True, size, size)

    server = Endless()
    with pytest.raises(CoapError, match="over 5000 bytes"):
        await fetch(server, most=5000)
    assert len(server.asked) == 10
