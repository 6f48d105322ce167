"""Journal files: what is saved comes back, and nothing else is taken for one."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.flashing import journal_export
from fleet.flashing.device_files import DamagedFiles, ReadOnly, read_folder
from fleet.flashing.filesystem import littlefs_image
from fleet.flashing.journal_export import JournalFileError, load, save

MAC = bytes.fromhex("3c71bf4a0b1c")
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)
SIZE = 0x40000


@settings(max_examples=30)
@given(st.dictionaries(NAMES, st.binary(max_size=9000), max_size=6))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    path = save(tmp_path_factory.mktemp("kj"), MAC, files)
    assert path.name.startswith("journal-1we6zmm2rw-")
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path).files == files
    assert load(path).node_id == "1we6zmm2rw"


@settings(max_examples=200)
@given(st.integers(0, 5000), st.integers(1, 255))
def test_a_damaged_file_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("kj")
    raw = bytearray(save(folder, MAC, {"a": b"x" * 500}).read_bytes())
    raw[at % len(raw)] ^= flip
    (folder / "bad.kj").write_bytes(raw)
    try:
        load(folder / "bad.kj")
    except JournalFileError as e:
        assert "\n" not in str(e)  # noqa: PT017 - it need not be raised


@pytest.mark.parametrize("name", ["../x", "/etc/x", "journal/../../x", "other", "journal/"])
def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "bad.kj", "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(JournalFileError, match="not a journal"):
        load(tmp_path / "bad.kj")
    with pytest.raises(JournalFileError, match="cannot be read"):
        load(tmp_path / "missing.kj")


def test_only_what_is_needed_is_read_from_the_board() -> None:
    image = littlefs_image(SIZE, {"/a.romfs": bytes(66_000), "/main.py": b"x"})
    reads: list[tuple[int, int]] = []

    def read(offset: int, size: int) -> bytes:
        reads.append((offset, size))
        return image[offset : offset + size]

    assert read_folder("journal", SIZE, read) == {}
    assert reads == [(0, 0x2000)]

    files = {
        "/journal/0001": b"a" * 900,
        "/journal/0002": bytes(20_000),
        "/a.romfs": bytes(60_000),
    }
    image = littlefs_image(SIZE, files)
    found = read_folder("journal", SIZE, read)
    assert found == {"0001": b"a" * 900, "0002": bytes(20_000)}
    assert len(reads) == len(set(reads)) + 1  # each window once, and the first pair again


def test_blank_damaged_and_unreadable_flash() -> None:
    assert read_folder("journal", SIZE, lambda _, size: b"\xff" * size) == {}
    image = bytearray(littlefs_image(SIZE, {"/journal/1": b"x"}))
    for at in (0x30, 0x1030):
        image[at] ^= 0xFF
    with pytest.raises(DamagedFiles):
        read_folder("journal", SIZE, lambda at, size: bytes(image[at : at + size]))

    def fails(offset: int, size: int) -> bytes:
        if offset:
            raise ReadOnly("the line broke")
        return littlefs_image(SIZE, {"/journal/1": bytes(9000)})[:size]

    with pytest.raises(ReadOnly, match="the line broke"):
        read_folder("journal", SIZE, fails)


def test_a_journal_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, MAC, {"a": b"x"})
    monkeypatch.setattr(journal_export, "MOST_BYTES", 100)
    with pytest.raises(JournalFileError, match="too large"):
        load(path)
