"""From a flash image to what runs: bootloader, partition table, otadata and runtime are checked as
a chip's ROM and ESP-IDF's bootloader check them, in their own words.
"""

import hashlib
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fleet.flashing import espimage, partitions
from fleet.flashing.chips import CHIPS
from fleet.flashing.espimage import ImageError
from fleet.flashing.partitions import TABLE_OFFSET, TABLE_SIZE, Partition, PartitionError
from fleet.flashing.runtime import HARDENED
from hil.virtual import otadata, runtime_image

_APP, _DATA, _OTA_DATA, _OTA_0 = 0, 1, 0x00, 0x10
_BOOTLOADER_MOST = 0x8000

Read = Callable[[int, int], bytes]  # offset and size of flash


class BootFault(Exception):
    """Nothing to boot. `rom`: the ROM says so, not the bootloader. The text is what it prints."""

    def __init__(self, text: str, *, rom: bool) -> None:
        super().__init__(text)
        self.rom = rom


class About(NamedTuple):
    """A runtime image. `version`: of MicroPython, as 1.28.0; `hardened`: built for the field."""

    version: str
    hardened: bool
    crashes: bool = False  # at its start


class Bootable(NamedTuple):
    """What boots: the partition of the runtime that was chosen, the whole table, the runtime."""

    table: list[Partition]
    running: Partition
    about: About


# What images that were good are, by chip and digest: to look at one takes 20 ms.
_GOOD: dict[tuple[int, bytes], About] = {}


def look(flash: Path, chip: str) -> Bootable:
    """Do what ROM and bootloader do, otadata included; BootFault when they would give up."""
    with flash.open("r+b") as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        def write(offset: int, data: bytes) -> None:
            file.seek(offset)
            file.write(data)
            file.flush()

        facts = CHIPS[chip]
        where = facts.bootloader_offset
        head = read(where, _BOOTLOADER_MOST - where)
        if head[:1] != bytes((espimage.MAGIC,)):
            word = struct.unpack("<I", head[:4].ljust(4, b"\xff"))[0]
            raise BootFault(f"invalid header: 0x{word:08x}", rom=True)
        loader = _looked(head, facts.image_id)
        if not isinstance(loader, About):
            raise BootFault(f"ets_loader.c 78\n{loader[0]}", rom=True)
        table = _table(read(TABLE_OFFSET, TABLE_SIZE))
        lines: list[str] = []
        for row in _order(table, read, write):
            found = _looked(read(row.offset, row.size), facts.image_id, row.offset)
            if isinstance(found, About):
                return Bootable(table, row, found)
            lines += found
            lines.append(f"E (91) boot: {_slot(row)} is not bootable")
        lines.append("E (98) boot: No bootable app partitions in the partition table")
        raise BootFault("\n".join(lines), rom=False)


def _table(raw: bytes) -> list[Partition]:
    try:
        return partitions.decode(raw)
    except PartitionError:
        magic = struct.unpack("<H", raw[:2].ljust(2, b"\xff"))[0]
        first = (
            "E (48) flash_parts: MD5 checksum mismatch between partition table and calculated"
            if magic == 0x50AA
            else f"E (48) flash_parts: partition 0 invalid magic number 0x{magic:x}"
        )
        lines = (
            first,
            "E (54) boot: Failed to verify partition table",
            "E (59) boot: load partition table error!",
        )
        raise BootFault("\n".join(lines), rom=False) from None


def _order(
    table: list[Partition], read: Read, write: Callable[[int, bytes], None]
) -> list[Partition]:
    """The application partitions in the order in which the bootloader tries them."""
    apps = sorted((row for row in table if row.type == _APP), key=lambda row: row.subtype)
    slots = [row for row in apps if _OTA_0 <= row.subtype < _OTA_0 + 16]
    factory = [row for row in apps if row.subtype == 0]
    chosen: list[Partition] = []
    data = [row for row in table if (row.type, row.subtype) == (_DATA, _OTA_DATA)]
    if data and slots:
        start = data[0].offset
        number = otadata.boot(
            lambda offset, size: read(start + offset, size),
            lambda sector, entry: write(
                start + sector * otadata.SECTOR, entry.ljust(otadata.SECTOR, b"\xff")
            ),
            len(slots),
        )
        if number is not None:
            chosen = [slots[number]]
        elif not factory:
            chosen = slots[:1]
    return chosen + [row for row in factory + slots if row not in chosen]


def _slot(row: Partition) -> str:
    number = row.subtype - _OTA_0
    return f"OTA app partition slot {number}" if number >= 0 else "Factory app partition"


def _looked(raw: bytes, chip_id: int, offset: int = 0) -> About | list[str]:
    """A good image, or the lines of the bootloader about one that is not."""
    if raw[:1] != bytes((espimage.MAGIC,)):
        text = f"E (83) esp_image: image at 0x{offset:x} has invalid magic byte"
        return [f"{text} (nothing flashed here?)"]
    found = int.from_bytes(raw[12:14], "little")
    if found != chip_id:
        return [f"E (83) boot_comm: mismatch chip ID, expected {chip_id}, found {found}"]
    key = (chip_id, hashlib.sha256(raw).digest())
    if key in _GOOD:
        return _GOOD[key]
    try:
        image = espimage.parse(raw)
    except ImageError as e:
        text = str(e)
        if "SHA-256" in text:
            return ["E (470) esp_image: Image hash failed - image is corrupt"]
        if "checksum is" in text:
            read, computed = _sums(text)
            return [
                f"E (462) esp_image: Checksum failed. Calculated 0x{computed:x} read 0x{read:x}"
            ]
        return [f"E (90) esp_image: invalid segment length 0x{_length(raw):x}"]
    about = image.description
    version = about.version.lstrip("v") if about is not None else ""
    hardened = about is not None and about.project == HARDENED
    _GOOD[key] = About(version, hardened, runtime_image.CRASHES in image.segments[0].data)
    return _GOOD[key]


def _length(raw: bytes) -> int:
    return int.from_bytes(raw[28:32], "little")


def _sums(error: str) -> tuple[int, ...]:
    """Checksum read and checksum computed, out of an ImageError's text."""
    return tuple(int(number, 16) for number in re.findall(r"0x[0-9a-f]+", error)[:2])
