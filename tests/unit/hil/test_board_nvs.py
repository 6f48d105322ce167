"""The board's NVS over its flash: ESP-IDF's generator writes what it reads, and our parser reads
what it writes, whatever was set and erased before.
"""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet.flashing import nvs as image
from hil.virtual import nvs_pages
from hil.virtual.nvs import BLOB, INTEGER, NOT_ENOUGH_SPACE, NOT_FOUND, Nvs, NvsError

OFFSET, SIZE = 0x9000, 0x4000
Model = dict[str, dict[str, int | bytes]]

_names = st.text("abcdefghijklmnop_", min_size=1, max_size=15)
_values = st.one_of(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.binary(max_size=64),
    st.integers(0, 1500).map(lambda n: bytes(n % 251 for n in range(n))),
)
_writes = st.tuples(st.sampled_from("xyz"), st.sampled_from("abcdef"), st.none() | _values)


def made(folder: Path, raw: bytes = b"\xff" * SIZE) -> Nvs:
    flash = folder / "flash.bin"
    flash.write_bytes(b"\xff" * OFFSET + raw + b"\xff" * 0x2000)
    return opened(folder)


def opened(folder: Path) -> Nvs:
    nvs = Nvs(folder / "flash.bin")
    nvs.locate(OFFSET, SIZE)
    return nvs


def decoded(folder: Path) -> Model:
    raw = (folder / "flash.bin").read_bytes()
    assert raw[:OFFSET].count(0xFF) == OFFSET
    assert raw[OFFSET + SIZE :].count(0xFF) == 0x2000
    return image.decode(raw[OFFSET : OFFSET + SIZE])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nvs")


@settings(max_examples=60, deadline=None)
@given(
    first=st.dictionaries(_names, st.dictionaries(_names, _values, max_size=4), max_size=3),
    writes=st.lists(_writes, max_size=60),
)
def test_it_goes_on_from_the_generators_image(
    folder: Path, first: Model, writes: list[tuple[str, str, int | bytes | None]]
) -> None:
    first = {space: keys for space, keys in first.items() if keys}
    model: Model = {space: dict(keys) for space, keys in first.items()}
    nvs = made(folder, image.encode(first, SIZE))
    for space, key, value in writes:
        keys = model.setdefault(space, {})
        try:
            if value is None:
                nvs.erase(space, key)
            else:
                nvs.write(space, key, value)
            nvs.commit(space)
        except NvsError as e:
            wrong = e.errno
        else:
            wrong = 0
            keys.pop(key, None)
            if value is not None:
                keys[key] = value
        assert wrong in (0, NOT_FOUND if value is None else NOT_ENOUGH_SPACE)
        assert wrong != NOT_FOUND or key not in keys
        assert nvs.get(space, key) == keys.get(key)
    expected = {space: keys for space, keys in model.items() if keys}
    assert decoded(folder) == expected
    again = opened(folder)
    again.boot()  # as at the next start: it finds its spare page, and keeps what there is
    for space, keys in expected.items():
        assert again.keys(space) == sorted(keys)
        for key, wanted in keys.items():
            assert again.get(space, key) == wanted


def test_a_register_written_each_hour_for_years_leaves_the_rest_alone(tmp_path: Path) -> None:
    nvs = made(tmp_path)
    key = bytes(range(256)) * 5
    nvs.set_blob("kapok", "cert", key)
    for hour in range(2000):
        nvs.write("kapok", "pulses", hour)
        nvs.commit("kapok")
    assert decoded(tmp_path) == {"kapok": {"cert": key, "pulses": 1999}}


def test_a_blob_of_several_pages_is_read_by_both(tmp_path: Path) -> None:
    blob = bytes(n * 7 & 255 for n in range(9000))
    nvs = made(tmp_path)
    nvs.set_blob("a", "long", blob)
    assert decoded(tmp_path) == {"a": {"long": blob}}
    assert opened(tmp_path).read("a", "long", BLOB) == blob
    with pytest.raises(NvsError) as e:
        nvs.set_blob("a", "long", blob[::-1])  # the old one stays until the new one is written
    assert e.value.errno == NOT_ENOUGH_SPACE
    assert nvs.get("a", "long") == blob
    nvs.set_blob("a", "long", b"short")
    assert decoded(tmp_path) == {"a": {"long": b"short"}}


def test_types_and_names_are_told_apart(tmp_path: Path) -> None:
    nvs = made(tmp_path)
    nvs.set_blob("kapok", "key", b"\x00\xff")
    nvs.set_i32("kapok", "n", -7)
    again = opened(tmp_path)
    assert again.read("kapok", "key", BLOB) == b"\x00\xff"
    assert again.read("kapok", "n", INTEGER) == -7
    for space, key, kind in (("kapok", "n", BLOB), ("other", "n", INTEGER)):
        with pytest.raises(NvsError):
            again.read(space, key, kind)
    with pytest.raises(ValueError, match="1 to 15 bytes"):
        nvs.set_i32("kapok", "k" * 16, 1)


def test_without_a_spare_page_a_boot_erases_it_all_as_micropython_does(tmp_path: Path) -> None:
    raw = image.encode({"kapok": {"cfg": b"x" * 900}}, SIZE)
    full = raw[: nvs_pages.PAGE]
    pages = b""
    for sequence in range(SIZE // nvs_pages.PAGE):
        head = sequence.to_bytes(4, "little") + full[8:28]
        pages += full[:4] + head + nvs_pages.crc(head).to_bytes(4, "little") + full[32:]
    nvs = made(tmp_path, pages)
    assert nvs.get("kapok", "cfg") == b"x" * 900
    nvs.boot()
    assert nvs.get("kapok", "cfg") is None
    nvs.set_i32("kapok", "n", 1)
    assert decoded(tmp_path) == {"kapok": {"n": 1}}


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, SIZE - 1), junk=st.binary(min_size=1, max_size=300))
@example(at=88, junk=b"\0")  # the namespace's own entry
def test_damage_anywhere_is_read_as_something_and_can_be_written_over(
    folder: Path, at: int, junk: bytes
) -> None:
    raw = bytearray(image.encode({"kapok": {"cfg": b"c" * 700, "n": 5}}, SIZE))
    raw[at : at + len(junk)] = junk[: SIZE - at]
    nvs = made(folder, bytes(raw))
    nvs.boot()
    assert nvs.get("kapok", "n") in (5, None) or at < 0x1000
    nvs.set_i32("kapok", "n", 6)
    assert nvs.get("kapok", "n") == 6
    assert opened(folder).get("kapok", "n") == 6


def test_a_table_without_nvs_refuses_to_be_provisioned(tmp_path: Path) -> None:
    nvs = made(tmp_path)
    nvs.locate(0, 0)
    assert nvs.get("a", "b") is None
    with pytest.raises(ValueError, match="has no NVS partition: flash a partition table"):
        nvs.set_i32("a", "b", 1)
    with pytest.raises(NvsError):
        nvs.write("a", "b", 1)


def test_sabotage_erasing_before_writing_would_lose_the_old_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the order turned round, a write that finds no room has lost what was there."""
    append = Nvs._append_blob

    def erase_first(self: Nvs, pages: nvs_pages.NvsPages, *rest: object) -> None:
        pages.erase(list(rest[3]))  # type: ignore[call-overload]
        rest[3].clear()  # type: ignore[attr-defined]
        append(self, pages, *rest)  # type: ignore[arg-type]

    nvs = made(tmp_path)
    nvs.set_blob("a", "long", b"1" * 7000)
    monkeypatch.setattr(Nvs, "_append_blob", erase_first)
    with pytest.raises(NvsError):
        nvs.set_blob("a", "long", b"2" * 13000)
    assert nvs.get("a", "long") is None
