import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.flashing import nvs
from fleet.flashing.nvs import NvsImageError, Value

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15)
VALUES = st.one_of(st.integers(-(2**31), 2**31 - 1), st.binary(max_size=700))
SPACES = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=5), max_size=4)
SIZE = 0x4000
LONG = bytes(range(250)) * 30
NODE: dict[str, dict[str, Value]] = {
    "kapok": {"cfg": b"c" * 300, "key": b"k" * 121, "n": 7, "long": LONG}
}


@settings(max_examples=60, deadline=None)
@given(SPACES)
def test_what_is_encoded_is_decoded(values: dict[str, dict[str, Value]]) -> None:
    raw = nvs.encode(values, 0x10000)
    assert len(raw) == 0x10000
    assert nvs.decode(raw) == values


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4200), min_size=1, max_size=6))
def test_a_blob_in_several_pages_is_whole_or_does_not_fit(sizes: list[int]) -> None:
    values: dict[str, dict[str, Value]] = {
        "kapok": {f"b{n}": bytes([n]) * size for n, size in enumerate(sizes)}
    }
    try:
        raw = nvs.encode(values, SIZE)
    except NvsImageError:
        raw = b""
    if raw:
        assert nvs.decode(raw) == values
    else:
        assert sum(sizes) > 2 * 4000


def test_the_image_is_what_the_generators_command_makes(tmp_path: Path) -> None:
    (tmp_path / "cfg").write_bytes(b"c" * 300)
    (tmp_path / "in.csv").write_text(
        f"key,type,encoding,value\nkapok,namespace,,\ncfg,file,binary,{tmp_path}/cfg\n"
        "n,data,i32,7\n"
    )
    out = tmp_path / "out.bin"
    subprocess.run(
        [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate",
         str(tmp_path / "in.csv"), str(out), hex(SIZE)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    assert out.read_bytes() == nvs.encode({"kapok": {"cfg": b"c" * 300, "n": 7}}, SIZE)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"kapok": {"cfg": bytes(13_000)}}, "do not fit"),
        ({"kapok": {"k" * 16: 1}}, "1 to 15 ASCII"),
        ({"": {"k": 1}}, "1 to 15 ASCII"),
        ({"kapok": {"schlüssel": 1}}, "1 to 15 ASCII"),
        ({"kapok": {"k": 1 << 31}}, "kapok.k: neither"),
        ({"kapok": {"k": "text"}}, "kapok.k: neither"),
        ({f"n{n}": {"k": 1} for n in range(300)}, "300 namespaces"),
    ],
)
def test_what_nvs_cannot_hold_is_refused(values: dict[str, dict[str, Value]], text: str) -> None:
    with pytest.raises(NvsImageError, match=text):
        nvs.encode(values, SIZE)


def test_a_partition_too_small_is_refused() -> None:
    with pytest.raises(NvsImageError, match="not 8192"):
        nvs.encode({}, 0x2000)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_image_gives_values_that_were_there_or_none(data: st.DataObject) -> None:
    raw = bytearray(nvs.encode(NODE, SIZE))
    for _ in range(data.draw(st.integers(1, 20))):
        bit = data.draw(st.integers(0, SIZE * 8 - 1))
        raw[bit // 8] ^= 1 << bit % 8
    for space, keys in nvs.decode(bytes(raw)).items():
        for key, value in keys.items():
            assert NODE[space][key] == value


@given(st.integers(0, 4).flatmap(lambda n: st.binary(min_size=n * 64, max_size=n * 64)))
def test_noise_is_an_empty_partition(noise: bytes) -> None:
    raw = (noise * 64)[: len(noise) * 64]
    assert nvs.decode(raw) == {}


def test_no_whole_number_of_pages_is_refused() -> None:
    with pytest.raises(NvsImageError, match="100 bytes"):
        nvs.decode(b"\xff" * 100)


# Pages as the chip makes them in its own life, which no generator writes.


def _entry(space: int, kind: int, chunk: int, key: str, value: bytes, data: bytes = b"") -> bytes:
    span = 1 + -(-len(data) // 32)
    head = bytes([space, kind, span, chunk])
    name = key.encode().ljust(16, b"\0")
    value = value.ljust(8, b"\xff")
    crc = zlib.crc32(head + name + value, 0xFFFFFFFF)
    return head + struct.pack("<I", crc) + name + value + data.ljust((span - 1) * 32, b"\xff")


def _blob(size: int, data: bytes) -> bytes:
    return struct.pack("<H2xI", size, zlib.crc32(data, 0xFFFFFFFF))


def _page(sequence: int, *entries: bytes, state: int = 0xFFFFFFFE, erased: int = 0) -> bytes:
    middle = struct.pack("<I", sequence) + b"\xfe" + b"\xff" * 19
    head = struct.pack("<I", state) + middle
    head += struct.pack("<I", zlib.crc32(middle, 0xFFFFFFFF))
    body = b"".join(entries)
    states = [0b11] * 128
    for n in range(len(body) // 32):
        states[n] = 0b00 if n < erased else 0b10
    bitmap = bytes(sum(states[4 * n + m] << 2 * m for m in range(4)) for n in range(32))
    return (head + bitmap + body).ljust(4096, b"\xff")


SPACE = _entry(0, 0x01, 0xFF, "kapok", b"\x01")
OLD = _entry(1, 0x14, 0xFF, "n", struct.pack("<i", 1))
NEW = _entry(1, 0x14, 0xFF, "n", struct.pack("<i", 2))
EMPTY = b"\xff" * 4096


def test_an_erased_entry_is_not_read() -> None:
    # Both entries erased: the namespace goes with them, so it is written again behind.
    assert nvs.decode(_page(0, OLD, SPACE, NEW, erased=1)) == {"kapok": {"n": 2}}


def test_the_newer_of_two_pages_wins_whatever_their_order_in_flash() -> None:
    older, newer = _page(4, SPACE, OLD, state=0xFFFFFFFC), _page(5, NEW)
    assert nvs.decode(newer + EMPTY + older) == {"kapok": {"n": 2}}
    assert nvs.decode(older + EMPTY + newer) == {"kapok": {"n": 2}}


def test_a_page_that_is_being_freed_still_counts() -> None:
    assert nvs.decode(_page(4, SPACE, OLD, state=0xFFFFFFF8)) == {"kapok": {"n": 1}}


@pytest.mark.parametrize("state", [0xFFFFFFFF, 0xFFFFFFF0, 0])
def test_a_page_in_no_valid_state_does_not_count(state: int) -> None:
    assert nvs.decode(_page(4, SPACE, OLD, state=state)) == {}


def test_the_chunks_of_the_newer_version_make_the_blob() -> None:
    first = [
        _entry(1, 0x42, 0, "b", _blob(3, b"old"), b"old"),
        _entry(1, 0x48, 0xFF, "b", struct.pack("<IBB", 3, 1, 0)),
    ]
    second = [
        _entry(1, 0x42, 0x80, "b", _blob(5, b"newer"), b"newer"),
        _entry(1, 0x48, 0xFF, "b", struct.pack("<IBB", 5, 1, 0x80)),
    ]
    assert nvs.decode(_page(0, SPACE, *first, *second)) == {"kapok": {"b": b"newer"}}
    # The power was cut between the new chunk and its index: the old value is the value.
    assert nvs.decode(_page(0, SPACE, *first, second[0])) == {"kapok": {"b": b"old"}}


def test_a_blob_that_lacks_a_chunk_is_not_there() -> None:
    index = _entry(1, 0x48, 0xFF, "b", struct.pack("<IBB", 6, 2, 0))
    chunk = _entry(1, 0x42, 0, "b", _blob(3, b"one"), b"one")
    assert nvs.decode(_page(0, SPACE, chunk, index)) == {}
