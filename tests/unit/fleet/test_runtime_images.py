import json
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli.main import kapok
from fleet.flashing import espimage, hardware, layout, partitions, runtime, runtime_cache
from fleet.flashing.espimage import Description, Segment
from fleet.flashing.layout import LayoutError, Region
from fleet.flashing.runtime import RuntimeImageError
from hil.virtual import runtime_image

FILES = {"/boot.py": b"boot", "/a.romfs": b"a" * 80_000}
RESCUE = {"/rescue.romfs": b"r" * 60_000}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty; what was compiled is kept where it always is."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(runtime_cache, "folder", lambda: folder)
    return folder


def file(folder: Path, raw: bytes, name: str = "image.bin") -> Path:
    path = folder / name
    path.write_bytes(raw)
    return path


def small(
    project: str = "micropython", banner: str = "MicroPython v1.28.0 on 2026-01-01"
) -> bytes:
    about = espimage.description(Description(project, "v1", "v5.5.1"))
    return espimage.build(9, 0, [Segment(0x3C000020, about + banner.encode())])


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_a_release_is_taken_in_parts(chip: str) -> None:
    raw = runtime_image.make(chip)
    found = runtime.parse(raw)
    assert (found.chip, found.version, found.abi) == (chip, (1, 28, 0), (6, 3))
    assert found.mark == "bench only"
    assert found.app == runtime_image.app(chip)
    assert found.bootloader is not None
    assert raw.startswith(found.bootloader)
    runtime.check(found, chip)


def test_an_application_alone_and_a_hardened_one_are_known() -> None:
    assert runtime.parse(runtime_image.app("esp32")).bootloader is None
    hardened = runtime.parse(runtime_image.make("esp32s3", project="kapok-runtime"))
    assert hardened.mark == "hardened"


def test_what_follows_the_image_is_kept_but_for_erased_flash() -> None:
    raw = small()
    assert runtime.parse(raw + b"\xff" * 5000).app == raw
    assert runtime.parse(raw + b"\xff" * 100 + b"signature").app.endswith(b"signature")


WHOLE = runtime_image.make("esp32s3")
REFUSED = {
    "a text": (b"# README\n" * 100, "no ESP image"),
    "nothing": (b"", "no ESP image"),
    "half a download": (WHOLE[: len(WHOLE) // 2], "its application is damaged.*cut short"),
    "a bootloader alone": (WHOLE[:0x6000], "neither MicroPython nor a bootloader"),
    "a flipped bit": (WHOLE[:90_000] + b"\0" + WHOLE[90_001:], "its application is damaged"),
    "another program": (small("blinky"), "calls itself 'blinky'"),
    "no MicroPython in it": (small(banner="Tasmota"), "its banner is missing"),
    "too old": (small(banner="MicroPython v1.26.1 on 2025-"), "1.26 is too old"),
    "too new": (small(banner="MicroPython v1.99.0 on 2035-"), "1.99 is newer than this kapok"),
    "another chip": (espimage.build(2, 0, [Segment(0, b"")]), "chip number 2"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_runtime_image_is_refused_by_name(what: str, tmp_path: Path) -> None:
    raw, text = REFUSED[what]
    path = file(tmp_path, raw)
    with pytest.raises(RuntimeImageError, match=text) as caught:
        runtime_cache.add(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert runtime_cache.entries() == []


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_a_runtime_image_or_refused(head: bytes, tail: bytes) -> None:
    for raw in (head, b"\xe9" + head, small()[: len(head)] + tail):
        with suppress(RuntimeImageError):
            assert runtime.parse(raw).chip == "esp32s3"


def test_the_bytecode_must_be_what_slots_are_compiled_to(monkeypatch: pytest.MonkeyPatch) -> None:
    found = runtime.parse(small())
    monkeypatch.setattr(runtime, "slot_abi", lambda: (7, 0))
    with pytest.raises(RuntimeImageError, match=r"runs \.mpy 6\.3, slots are compiled to 7\.0"):
        runtime.check(found, "esp32s3")


def test_the_cache_prefers_the_hardened_then_the_newest(tmp_path: Path, cache: Path) -> None:
    runtime_cache.add(file(tmp_path, runtime_image.app("esp32s3", "1.28.0")))
    runtime_cache.add(file(tmp_path, runtime_image.app("esp32s3", "1.29.0")))
    assert runtime_cache.best("esp32s3").version == (1, 29, 0)
    runtime_cache.add(file(tmp_path, runtime_image.app("esp32s3", project="kapok-runtime")))
    assert runtime_cache.best("esp32s3").hardened
    assert len(list(cache.iterdir())) == 3


def test_an_image_of_the_same_version_replaces_the_other(tmp_path: Path, cache: Path) -> None:
    runtime_cache.add(file(tmp_path, runtime_image.app("esp32s3", size=200_000)))
    found, path = runtime_cache.add(file(tmp_path, runtime_image.app("esp32s3", size=300_000)))
    assert list(cache.iterdir()) == [path]
    assert runtime_cache.best("esp32s3").app == found.app


@pytest.mark.parametrize("how", ["bit", "cut", "empty", "swapped"])
def test_a_damaged_cached_file_is_found_and_said(how: str, tmp_path: Path) -> None:
    _, path = runtime_cache.add(file(tmp_path, runtime_image.app("esp32s3")))
    raw = path.read_bytes()
    path.write_bytes(
        {
            "bit": raw[:5000] + bytes([raw[5000] ^ 1]) + raw[5001:],
            "cut": raw[:-1],
            "empty": b"",
            "swapped": runtime_image.app("esp32s3", size=100_000),
        }[how]
    )
    with pytest.raises(RuntimeImageError, match="kapok runtime add FILE takes it in again"):
        runtime_cache.best("esp32s3")
    assert runtime_cache.entries()[0].damaged


def test_without_an_image_the_error_says_how_to_get_one() -> None:
    with pytest.raises(RuntimeImageError, match="no runtime image for esp32 is cached: kapok run"):
        runtime_cache.best("esp32")


def test_the_commands_mark_a_stock_image(tmp_path: Path) -> None:
    path = file(tmp_path, runtime_image.make("esp32c3"))
    out = CliRunner().invoke(kapok, ["runtime", "add", str(path)]).output
    assert "esp32c3: MicroPython 1.28.0, with its bootloader" in out
    assert "bench only" in out
    (listed,) = json.loads(CliRunner().invoke(kapok, ["runtime", "list", "--json"]).output)
    assert (listed["chip"], listed["bench_only"], listed["damaged"]) == ("esp32c3", True, "")
    Path(listed["path"]).write_bytes(b"")
    assert "DAMAGED" in CliRunner().invoke(kapok, ["runtime", "list"]).output
    result = CliRunner().invoke(kapok, ["runtime", "add", str(file(tmp_path, b"text"))])
    assert result.exit_code == 1


# Layout


@pytest.mark.parametrize("name", hardware.boards())
def test_the_regions_fill_the_boards_partitions(name: str) -> None:
    board = hardware.load_board(name)
    found = layout.regions(board, runtime.parse(runtime_image.make(board.chip)), FILES, RESCUE)
    assert [region.name for region in found] == [
        "bootloader", "partition-table", "otadata", "ota_0", "rescue", "vfs",
    ]  # fmt: skip
    whole = layout.merged(found, board.flash_bytes)
    assert len(whole) == board.flash_bytes
    assert partitions.decode(whole[partitions.TABLE_OFFSET :]) == board.table
    loader = espimage.parse(whole[found[0].offset :])
    assert loader.flash_bytes == board.flash_bytes
    assert espimage.parse(whole[0x10000:]).description is not None
    nvs = partitions.find(board.table, "nvs")
    assert whole[nvs.offset : nvs.offset + nvs.size] == b"\xff" * nvs.size


def test_without_a_bootloader_the_board_keeps_its_own() -> None:
    board = hardware.load_board("esp32-ec200")
    found = layout.regions(board, runtime.parse(runtime_image.app("esp32")), FILES, {})
    assert [region.name for region in found] == ["partition-table", "otadata", "ota_0", "vfs"]


def test_the_rescue_application_that_ships_fits_every_board() -> None:
    for name in hardware.boards():
        board = hardware.load_board(name)
        found = layout.regions(board, runtime.parse(runtime_image.app(board.chip)), FILES)
        (region,) = [each for each in found if each.name == "rescue"]
        assert b"digest" in region.data


def test_what_is_larger_than_its_partition_is_refused() -> None:
    board = hardware.load_board("esp32s3-bc660k")
    nvs = partitions.find(board.table, "nvs")
    with pytest.raises(LayoutError, match="nvs: 24576 bytes do not fit its partition of 16384"):
        layout.place(nvs, bytes(0x6000))
    large = runtime.parse(runtime_image.app("esp32s3", size=1_700_000))
    with pytest.raises(LayoutError, match=r"ota_0: 1700.* do not fit its partition of 1572864"):
        layout.regions(board, large, FILES)
    fitting = runtime.parse(runtime_image.app("esp32s3"))
    with pytest.raises(LayoutError, match="vfs: 1 files of 800000 bytes do not fit"):
        layout.regions(board, fitting, {"/a.romfs": bytes(800_000)})
    with pytest.raises(RuntimeImageError, match="is for esp32s3, the board has esp32c3"):
        layout.regions(hardware.load_board("esp32c3-bc95"), fitting, FILES)


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=60)), min_size=1, max_size=6
    )
)
def test_merged_regions_never_overlap_and_are_all_there(parts: list[tuple[int, bytes]]) -> None:
    found = [Region(str(n), offset, data) for n, (offset, data) in enumerate(parts)]
    taken: set[int] = set()
    for region in found:
        taken |= set(range(region.offset, region.offset + len(region.data)))
    apart = len(taken) == sum(len(region.data) for region in found) and max(taken) < 320
    try:
        whole = layout.merged(found, 320)
    except LayoutError:
        assert not apart
    else:
        assert apart
        assert len(whole) == 320
        for region in found:
            assert whole[region.offset : region.offset + len(region.data)] == region.data
        assert all(whole[n] == 0xFF for n in range(320) if n not in taken)


def test_a_whole_flash_goes_into_one_file(tmp_path: Path) -> None:
    image = tmp_path / "runtime.bin"
    image.write_bytes(runtime_image.make("esp32c3"))
    out = tmp_path / "whole.bin"
    words = ["hw", "image", "drainage", "--runtime", str(image), "--out", str(out)]
    told = CliRunner().invoke(kapok, words)
    assert told.exit_code == 0, told.output
    assert told.output.strip().endswith("for esp32c3-bc95, MicroPython 1.28.0, bench only")
    board = hardware.load_board("esp32c3-bc95")
    flash = out.read_bytes()
    assert len(flash) == board.flash_bytes
    assert partitions.decode(flash[partitions.TABLE_OFFSET :]) == list(board.table)
    row = partitions.find(list(board.table), "nvs")
    assert flash[row.offset :][: row.size] == b"\xff" * row.size, "who it is comes later"
