"""Partition tables: ESP-IDF's CSV form, and the binary form that lies in flash at 0x8000."""

import csv
import hashlib
import struct
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal

BLOCK = 4096  # bytes erased at once; partitions start on such a boundary
TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00  # bytes that ESP-IDF's bootloader reads
# One entry and the digest behind the last one: "Partition Tables" of ESP-IDF's programming guide.
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC, _DIGEST = b"\xaa\x50", b"\xeb\xeb" + b"\xff" * 14
_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {
    ("app", "factory"): 0x00,
    ("app", "test"): 0x20,
    **{("app", f"ota_{n}"): 0x10 + n for n in range(16)},
    ("data", "ota"): 0x00,
    ("data", "phy"): 0x01,
    ("data", "nvs"): 0x02,
    ("data", "coredump"): 0x03,
    ("data", "nvs_keys"): 0x04,
    ("data", "fat"): 0x81,
    ("data", "spiffs"): 0x82,
    ("data", "littlefs"): 0x83,
    ("data", "romfs"): 0x8F,
}


class PartitionError(Refusal, ValueError):
    """The table cannot be used; the text names file, line and what is wrong."""


class Partition(NamedTuple):
    """One row; `offset` and `size` in bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int


def _number(text: str) -> int:
    factor = {"K": 1024, "M": 1024 * 1024}.get(text[-1:].upper(), 1)
    value = int(text[:-1] if factor > 1 else text, 0) * factor
    if value < 0:
        raise ValueError(text)
    return value


def _row(cells: list[str], end: int) -> Partition:
    label, kind, sub, offset, size = cells[:5]
    if not 0 < len(label.encode()) <= 16:
        raise ValueError("label is 1 to 16 bytes")
    type_ = _TYPES[kind] if kind in _TYPES else _number(kind)
    subtype = _SUBTYPES[kind, sub] if (kind, sub) in _SUBTYPES else _number(sub)
    # An application starts on a 64 KiB boundary (the MMU's page).
    align = 0x10000 if type_ == 0 else BLOCK
    start = _number(offset) if offset else -(-end // align) * align
    if start % align:
        raise ValueError(f"offset is no multiple of {align:#x}")
    if start < end:
        raise ValueError("overlaps the row before")
    return Partition(label, type_, subtype, start, _number(size))


def load(path: Path, flash_size: int) -> list[Partition]:
    """Rows of the table, in order of offset; PartitionError when it does not fit `flash_size`."""
    rows: list[Partition] = []
    end = 0x9000  # bootloader and partition table lie before
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise PartitionError(f"{path}: cannot read the partition table: {e}") from None
    for number, line in enumerate(csv.reader(text.splitlines()), 1):
        cells = [cell.strip() for cell in line]
        if not any(cells) or cells[0].startswith("#"):
            continue
        try:
            row = _row(cells, end)
        except ValueError as e:
            raise PartitionError(f"{path}:{number}: bad partition: {e}") from None
        end = row.offset + row.size
        if end > flash_size:
            raise PartitionError(f"{path}:{number}: {row.label} ends behind the flash")
        if any(other.label == row.label for other in rows):
            raise PartitionError(f"{path}:{number}: a second partition {row.label!r}")
        rows.append(row)
    return rows


def find(rows: list[Partition], label: str) -> Partition:
    """The row with this label; PartitionError when there is none."""
    for row in rows:
        if row.label == label:
            return row
    raise PartitionError(f"the table has no partition {label!r}")


def encode(rows: list[Partition]) -> bytes:
    """The binary table, TABLE_SIZE bytes."""
    body = b"".join(
        _ENTRY.pack(_MAGIC, row.type, row.subtype, row.offset, row.size, row.label.encode(), 0)
        for row in rows
    )
    whole = body + _DIGEST + hashlib.md5(body, usedforsecurity=False).digest()
    if len(whole) > TABLE_SIZE:
        raise PartitionError(f"a table of {len(rows)} partitions does not fit")
    return whole.ljust(TABLE_SIZE, b"\xff")


def decode(raw: bytes) -> list[Partition]:
    """The rows of a binary table; PartitionError when there is none, or its digest is wrong."""
    rows: list[Partition] = []
    for at in range(0, min(len(raw), TABLE_SIZE) - _ENTRY.size + 1, _ENTRY.size):
        entry = raw[at : at + _ENTRY.size]
        if entry[:16] == _DIGEST:
            if hashlib.md5(raw[:at], usedforsecurity=False).digest() != entry[16:]:
                raise PartitionError("the partition table in flash is damaged")
            return rows
        magic, kind, sub, offset, size, label, _flags = _ENTRY.unpack(entry)
        if magic != _MAGIC:
            break
        text = label.rstrip(b"\0").decode("ascii", "replace")
        rows.append(Partition(text, kind, sub, offset, size))
    raise PartitionError("the flash holds no partition table")
