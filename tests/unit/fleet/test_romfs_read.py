"""ROMFS images as somebody else may have made them: what we would not make is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.releases import romfs
from fleet.releases.romfs import RomfsError

NAMES = st.from_regex(r"[a-z0-9_]{1,6}(\.mpy)?", fullmatch=True)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


def is_tree(files: dict[str, bytes]) -> bool:
    """Whether no path is a folder of another."""
    return not any(b.startswith(a + "/") for a in files for b in files)


def in_order(files: dict[str, bytes]) -> dict[str, bytes]:
    """As an image has them: a folder's files before its folders."""
    return romfs.read(romfs.image(files))


@given(st.dictionaries(PATHS, st.binary(max_size=300), max_size=8).filter(is_tree))
def test_what_is_made_is_read(files: dict[str, bytes]) -> None:
    assert in_order(files) == files


@given(
    st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=4).filter(is_tree),
    st.data(),
)
def test_whatever_is_changed_is_refused_or_read_as_it_is(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    good = bytearray(romfs.image(files))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = romfs.read(bytes(good))
    except RomfsError:
        return
    assert romfs.image(found) == good


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for data in (raw, romfs._MAGIC + raw, romfs._MAGIC + romfs._varuint(len(raw)) + raw):
        with contextlib.suppress(RomfsError):
            assert romfs.image(romfs.read(data)) == data


def folder(*records: bytes) -> bytes:
    body = b"".join(records)
    return romfs._MAGIC + romfs._varuint(len(body)) + body


def file(name: str, data: bytes = b"x") -> bytes:
    return romfs._named(romfs._FILE, name, romfs._record(romfs._DATA, data))


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"", "no ROMFS image"),
        (folder(file("a")) + b"\0", "in an image with"),
        (folder(file("a"), file("a", b"y")), "'a' is there twice"),
        (folder(file("a"), romfs._named(romfs._FOLDER, "a", file("b"))), "'a' is there twice"),
        (folder(romfs._named(romfs._FOLDER, "a", b"")), "is empty"),
        (folder(romfs._named(romfs._FOLDER, "a", file("b")), file("c")), "another order"),
        (folder(romfs._record(1, b"pad"), file("a")), "a record of kind 1"),
        (folder(romfs._named(romfs._FILE, "a", romfs._record(3, b"\0\0"))), "other records"),
        (folder(file("a") + romfs._record(romfs._DATA, b"")), "a record of kind 2"),
        (folder(b"\x85\x80\x05" + file("a")[1:]), "a record of kind|behind what holds it"),
    ],
)
def test_what_no_image_of_ours_has(image: bytes, why: str) -> None:
    with pytest.raises(RomfsError, match=why):
        romfs.read(image)
