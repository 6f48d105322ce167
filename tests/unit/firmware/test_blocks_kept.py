"""What has come of a stream: whatever comes in whatever order, and whenever the power fails."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.update.pieces import Reader, Taker, kept, scan

SIZES = st.sampled_from([256, 512, 1024, 4096])


def stream(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def piece(data: bytes, size: int, index: int) -> bytes:
    return data[index * size : (index + 1) * size]


def read(path: Path, data: bytes, first: int, end: int, direct: tuple[int, int]) -> bytes:
    source = Reader(str(path), len(data), first, end, direct)
    got = bytearray()
    buffer = bytearray(100)
    while n := source.readinto(buffer):
        got += buffer[:n]
    source.seek(0)
    assert source.readinto(memoryview(buffer)[:1]) == (1 if end > first else 0)
    source.done()
    return bytes(got)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9000), st.lists(st.tuples(SIZES, st.integers(0, 40)), max_size=40),
    st.integers(0, 9000), st.integers(0, 9000),
)  # fmt: skip
def test_all_comes_together(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    orders: list[tuple[int, int]],
    one: int,
    other: int,
) -> None:
    path = tmp_path_factory.mktemp("update") / "blocks"
    data = stream(size)
    direct = (min(one, other, size), min(max(one, other), size))
    elsewhere = bytearray(size)

    def put(offset: int, part: memoryview) -> None:
        assert direct[0] <= offset
        assert offset + len(part) <= direct[1]
        assert (offset - direct[0]) % 16 == len(part) % 16 == 0
        elsewhere[offset : offset + len(part)] = part

    # Some blocks by chance, each in a contact of its own; then all that is missing.
    for block, index in orders:
        taker = Taker(str(path), size, direct, put)
        taker.take(block, index, piece(data, block, index))
        taker.close()
    rounds = 0
    while True:
        taker = Taker(str(path), size, direct, put)
        block = (256, 512, 2048)[rounds % 3]
        first, bits = taker.missing(block, 0, size, 5)
        if not bits:
            break
        assert bits[0] & 128
        for i in reversed(range(8 * len(bits))):
            if bits[i >> 3] & 128 >> (i & 7):
                taker.take(block, first + i, piece(data, block, first + i))
        taker.close()
        rounds += 1
    assert taker.mark == size
    taker.close()
    for first, end in ((0, direct[0]), (direct[1], size)):
        assert read(path, data, first, end, direct) == data[first:end]
    middles = set()
    for _, offset, length in scan(str(path), size, direct):
        before, behind = kept(offset, length, direct)
        middles |= set(range(offset + before, offset + length - behind))
    for at in middles:
        assert elsewhere[at] == data[at]
    for at in set(range(size)) - middles:
        assert read(path, data, at, at + 1, direct) == data[at : at + 1]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=2000), st.integers(0, 3000))
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, size: int
) -> None:
    path = tmp_path_factory.mktemp("update") / "blocks"
    path.write_bytes(raw)
    try:
        taker = Taker(str(path), size)
    except ValueError:
        return
    assert 0 <= taker.mark <= size


def test_what_was_not_flushed_is_asked_for_again(tmp_path: Path) -> None:
    data = stream(3000)
    path = tmp_path / "blocks"
    taker = Taker(str(path), 3000)
    taker.take(512, 0, piece(data, 512, 0))
    taker.close()
    before = path.read_bytes()
    taker = Taker(str(path), 3000)
    taker.take(512, 1, piece(data, 512, 1))
    taker.close()
    path.write_bytes(before)  # the power failed first
    taker = Taker(str(path), 3000)
    assert taker.missing(512, 0, 3000, 8) == (1, b"\xf8")
    assert taker.missing(1024, 0, 3000, 8) == (0, b"\xe0")
    assert taker.mark == 512


def test_only_what_is_asked_of_a_part(tmp_path: Path) -> None:
    taker = Taker(str(tmp_path / "blocks"), 10_000)
    assert taker.missing(512, 0, 600, 16) == (0, b"\xc0")
    assert taker.missing(512, 600, 1024, 16) == (1, b"\x80")
    assert taker.missing(512, 0, 10_000, 16) == (0, b"\xff\xff")


def test_what_never_came_is_not_read_as_anything(tmp_path: Path) -> None:
    data = stream(2000)
    taker = Taker(str(tmp_path / "blocks"), 2000)
    taker.take(512, 0, piece(data, 512, 0))
    taker.close()
    source = Reader(str(tmp_path / "blocks"), 2000, 0, 2000)
    buffer = bytearray(512)
    assert source.readinto(buffer) == 512
    with pytest.raises(ValueError, match="512"):
        source.readinto(buffer)
