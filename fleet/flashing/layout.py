"""What lies where in a board's flash: regions in the order of writing, and one image of all."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from littlefs import LittleFSError

from fleet.errors import Refusal
from fleet.flashing import espimage, partitions
from fleet.flashing.chips import CHIPS
from fleet.flashing.filesystem import littlefs_image
from fleet.flashing.hardware import Board
from fleet.flashing.partitions import Partition
from fleet.flashing.runtime import Runtime, check
from fleet.paths import firmware_dir
from fleet.releases.rescue import build as build_rescue
from fleet.releases.slots import cache_dir

RESCUE = "rescue"
_ERASED = b"\xff"


class LayoutError(Refusal, ValueError):
    """The regions do not fit the flash; the text names the region, the sizes, and what to do."""


class Region(NamedTuple):
    """`data` for `offset` in flash; `name` is the partition's, or bootloader, partition-table."""

    name: str
    offset: int
    data: bytes


def place(row: Partition, data: bytes) -> Region:
    """The region of a partition; LayoutError when the data is larger.

    esptool knows no partitions: it would write on into the next one without a word.
    """
    if len(data) > row.size:
        raise LayoutError(
            f"{row.label}: {len(data)} bytes do not fit its partition of {row.size} bytes:"
            " take a smaller image or another partition table"
        )
    return Region(row.label, row.offset, data)


def regions(
    board: Board,
    runtime: Runtime,
    files: Mapping[str, bytes],
    rescue: Mapping[str, bytes] | None = None,
) -> list[Region]:
    """All but NVS, in the order of writing: bootloader, partition-table, otadata, ota_0, rescue,
    vfs.

    `files` and `rescue` are the files of those two file systems by path; `rescue` None: the
    application that ships, {}: its region is left out. So is the bootloader's where the runtime
    image has none: the board keeps its own. RuntimeImageError, LayoutError or PartitionError say
    what does not go together.
    """
    check(runtime, board.chip)
    if rescue is None:
        rescue = build_rescue(firmware_dir(), cache_dir() / "node")
    table = board.table
    rows = {label: partitions.find(table, label) for label in ("otadata", "ota_0", RESCUE, "vfs")}
    found = []
    if runtime.bootloader is not None:
        start = CHIPS[board.chip].bootloader_offset
        # A bootloader refuses a table that goes behind the flash size of its own header.
        loader = espimage.with_flash_size(runtime.bootloader, board.flash_bytes)
        found.append(Region("bootloader", start, loader))
    found.append(Region("partition-table", partitions.TABLE_OFFSET, partitions.encode(table)))
    # Erased: the bootloader then takes ota_0.
    found.append(place(rows["otadata"], _ERASED * rows["otadata"].size))
    found.append(place(rows["ota_0"], runtime.app))
    if rescue:
        found.append(place(rows[RESCUE], _files(rows[RESCUE], rescue)))
    found.append(place(rows["vfs"], _files(rows["vfs"], files)))
    checked(found, board.flash_bytes)
    return found


def _files(row: Partition, files: Mapping[str, bytes]) -> bytes:
    try:
        return littlefs_image(row.size, files)
    except LittleFSError as e:
        total = sum(map(len, files.values()))
        raise LayoutError(
            f"{row.label}: {len(files)} files of {total} bytes do not fit its file system of"
            f" {row.size} bytes: {e}"
        ) from None


def checked(found: Iterable[Region], flash_bytes: int) -> list[Region]:
    """The regions by offset; LayoutError when two overlap or one ends behind the flash."""
    ordered = sorted(found, key=lambda region: region.offset)
    end, last = 0, "the start of the flash"
    for region in ordered:
        if region.offset < end:
            raise LayoutError(f"{region.name} at {region.offset:#x} overlaps {last}")
        end, last = region.offset + len(region.data), region.name
        if end > flash_bytes:
            raise LayoutError(
                f"{region.name} ends at {end:#x}, behind the flash of {flash_bytes:#x} bytes"
            )
    return ordered


def merged(found: Iterable[Region], flash_bytes: int) -> bytes:
    """The whole flash: the regions, and erased bytes between them."""
    out = bytearray(_ERASED) * flash_bytes
    for region in checked(found, flash_bytes):
        out[region.offset : region.offset + len(region.data)] = region.data
    return bytes(out)
