"""SLIP, requests and the strap watch: total, bounded, and blind to how bytes are cut."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.virtual.esprom.frames import SYNC_FRAME, Refused, Request, parse
from hil.virtual.esprom.slip import MOST, Decoder, encode
from hil.virtual.esprom.strap import SyncWatch

SPECIAL = st.sampled_from([0xC0, 0xDB, 0xDC, 0xDD, 0, 8, 0x55])
NOISE = st.lists(SPECIAL | st.integers(0, 255), max_size=200).map(bytes)
CUTS = st.lists(st.integers(1, 40), max_size=20)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    parts = []
    for cut in cuts:
        parts.append(data[:cut])
        data = data[cut:]
    return [*parts, data]


@given(st.lists(NOISE.filter(bool), max_size=8), CUTS)
def test_frames_come_back_however_they_are_cut(frames: list[bytes], cuts: list[int]) -> None:
    decoder = Decoder()
    stream = b"".join(map(encode, frames))
    assert [f for part in pieces(stream, cuts) for f in decoder.feed(part)] == frames
    assert decoder.pending == 0


@given(st.lists(NOISE, max_size=10))
def test_any_stream_gives_frames_and_after_it_the_next_one_is_heard(stream: list[bytes]) -> None:
    decoder = Decoder(most=64)
    for part in stream:
        for frame in decoder.feed(part):
            assert 0 < len(frame) <= 64
        assert decoder.pending <= 64
    assert decoder.feed(b"\xc0" + encode(b"hello"))[-1] == b"hello"


def test_a_frame_without_end_takes_no_memory() -> None:
    decoder = Decoder()
    decoder.feed(b"\xc0")
    for _ in range(100):
        assert decoder.feed(b"a" * 10_000) == []
        assert decoder.pending <= MOST
    assert decoder.feed(encode(b"next")) == [b"next"]


@given(NOISE)
def test_a_frame_is_a_request_or_none(frame: bytes) -> None:
    request = parse(frame)
    if request is None:
        return
    assert frame[2:4] == len(request.body).to_bytes(2, "little")
    with contextlib.suppress(Refused):
        assert len(request.payload()) == len(request.body) - 16


def test_a_wrong_checksum_is_refused() -> None:
    body = b"\x02\0\0\0" + bytes(12) + b"ab"
    right = 0xEF ^ ord("a") ^ ord("b")
    assert Request(3, right, body).payload() == b"ab"
    with pytest.raises(Refused, match="0x7"):
        Request(3, right ^ 1, body).payload()


@given(NOISE, NOISE, CUTS)
def test_a_sync_is_seen_and_nothing_before_it_is_lost(
    before: bytes, after: bytes, cuts: list[int]
) -> None:
    watch = SyncWatch()
    typed, rest = b"", b""
    for part in pieces(before + SYNC_FRAME + after, cuts):
        if rest:
            rest += part
            continue
        mine, sync = watch.feed(part)
        typed += mine
        rest += sync or b""
    assert typed == before
    assert rest == SYNC_FRAME + after


@given(NOISE, CUTS)
def test_what_is_no_sync_reaches_the_application_whole(data: bytes, cuts: list[int]) -> None:
    watch = SyncWatch()
    typed = b"".join(watch.feed(part)[0] for part in pieces(data, cuts))
    assert typed + watch.give_up() == data
