"""The flash of the virtual board: NOR rules, and what a power cut leaves of an operation."""

import io
from typing import Any

import pytest

from hil.virtual.shims.flashdev import BLOCK, FlashDevice

OFFSET = 100


class Cut(Exception):
    """The CPU stops here."""


def cut() -> None:
    raise Cut


def device(blocks: int = 3, after: int | None = None, mode: str = "clean") -> Any:
    file = io.BytesIO(b"\x55" * OFFSET + b"\xff" * (blocks * BLOCK) + b"\x55" * OFFSET)
    return FlashDevice(file, OFFSET, blocks * BLOCK, cut, after, mode)  # type: ignore[no-untyped-call]


def content(flash: Any, block: int, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    flash.readblocks(block, buffer, offset)
    return bytes(buffer)


def test_programming_only_clears_bits_and_erasing_sets_them() -> None:
    flash = device()
    flash.writeblocks(1, b"\x0f\xf0", 10)
    flash.writeblocks(1, b"\xf3\xff", 10)
    assert content(flash, 1, 9, 4) == b"\xff\x03\xf0\xff"
    assert flash.ioctl(6, 1) == 0
    assert content(flash, 1, 10, 2) == b"\xff\xff"
    assert (flash.programs, flash.erases, flash.operations) == (2, 1, 3)


def test_writing_without_an_offset_erases_first() -> None:
    flash = device()
    flash.writeblocks(0, b"\x00" * 8, BLOCK - 8)
    flash.writeblocks(0, b"\x11" * 2 * BLOCK)
    assert content(flash, 0, 0, BLOCK) + content(flash, 1, 0, BLOCK) == b"\x11" * 2 * BLOCK
    assert (flash.programs, flash.erases) == (2, 2)


def test_geometry_and_bounds() -> None:
    flash = device()
    assert (flash.ioctl(4, 0), flash.ioctl(5, 0), flash.ioctl(3, 0)) == (3, BLOCK, 0)
    for block, offset in ((2, BLOCK - 1), (3, 0), (-1, 0)):
        with pytest.raises(OSError, match="5"):
            flash.readblocks(block, bytearray(2), offset)
        with pytest.raises(OSError, match="5"):
            flash.writeblocks(block, b"\x00\x00", offset)
    with pytest.raises(ValueError, match="unknown mode"):
        device(mode="half")


@pytest.mark.parametrize(
    ("mode", "page", "block"),
    [
        ("clean", b"\xff" * 8, b"\x00" * BLOCK),
        ("half-page", b"\x00" * 4 + b"\xff" * 4, b"\x00" * BLOCK),
        ("half-erase", b"\xff" * 8, b"\xff" * (BLOCK // 2) + b"\x00" * (BLOCK // 2)),
    ],
)
def test_what_a_cut_leaves(mode: str, page: bytes, block: bytes) -> None:
    flash = device(after=1, mode=mode)
    flash.writeblocks(0, b"\x00" * BLOCK, 0)
    with pytest.raises(Cut):
        flash.writeblocks(1, b"\x00" * 8, 0)
    assert content(flash, 1, 0, 8) == page
    flash = device(after=1, mode=mode)
    flash.writeblocks(0, b"\x00" * BLOCK, 0)
    with pytest.raises(Cut):
        flash.ioctl(6, 0)
    assert content(flash, 0, 0, BLOCK) == block


def test_a_dead_flash_stays_as_it_was() -> None:
    flash = device()
    flash.cut_after = flash.operations  # armed while it runs
    with pytest.raises(Cut):
        flash.writeblocks(0, b"\x00", 0)
    flash.writeblocks(0, b"\x00", 0)
    flash.ioctl(6, 0)
    assert content(flash, 0, 0, 1) == b"\xff"
    assert flash.operations == 0


def test_all_parts_of_a_flash_lose_their_power_together() -> None:
    flash = device(after=2)
    other = flash.part(OFFSET + BLOCK, BLOCK)
    other.writeblocks(0, b"\x0f", 3)
    flash.writeblocks(0, b"\x0f", 3)
    assert flash.operations == 2
    with pytest.raises(Cut):
        other.writeblocks(0, b"\x00", 5)
    flash.writeblocks(0, b"\x00", 5)
    assert content(flash, 0, 3, 3) == content(flash, 1, 3, 3) == b"\x0f\xff\xff"
