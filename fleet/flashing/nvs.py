"""The NVS partition as an image: written by ESP-IDF's own generator, read by a parser of ours.

Source of the format: "NVS: Internals" of ESP-IDF's programming guide, page version 2.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fleet.errors import Refusal

PAGE = 4096
SMALLEST = 3 * PAGE  # one page is always kept free for moving entries
LARGEST = 1024 * 1024  # bytes that decode looks at; partitions of ours have 16 KiB
LONGEST_NAME = 15
LONGEST_BLOB = 508_000  # bytes, ESP-IDF's limit
MOST_SPACES = 254

_ENTRIES = 126
_ENTRY = 32
_HEADER = 64  # page header and the bitmap of entry states
_STATES = {0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8}  # active, full, being freed
_VERSION_2 = 0xFE
_WRITTEN = 0b10
_INTEGERS = {
    0x01: "<B", 0x11: "<b", 0x02: "<H", 0x12: "<h",
    0x04: "<I", 0x14: "<i", 0x08: "<Q", 0x18: "<q",
}  # fmt: skip
_STRING, _BLOB, _CHUNK, _INDEX = 0x21, 0x41, 0x42, 0x48

Value = int | bytes


class NvsImageError(Refusal, ValueError):
    """The values do not make an NVS image, or the bytes are none; the text says why."""


def _checked(name: object) -> str:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= LONGEST_NAME
        or not all(" " < letter <= "~" for letter in name)
    ):
        raise NvsImageError(f"the NVS name {name!r} is not 1 to {LONGEST_NAME} ASCII characters")
    return name


def encode(values: Mapping[str, Mapping[str, Value]], size: int) -> bytes:
    """An image of `size` bytes; namespace -> key -> int (an i32) or bytes (a blob).

    NvsImageError when it does not fit, or a name or value is none that NVS can hold.
    """
    from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

    if size % PAGE or not SMALLEST <= size <= LARGEST:
        raise NvsImageError(f"an NVS partition has {SMALLEST} to {LARGEST} bytes, not {size}")
    if len(values) > MOST_SPACES:
        raise NvsImageError(f"{len(values)} namespaces, NVS can hold {MOST_SPACES}")
    # In this process: a subprocess would take the keys over files.
    out = io.BytesIO()
    image = generator.nvs_open(out, size - PAGE, generator.Page.VERSION2)
    try:
        for space, keys in values.items():
            image.write_namespace(_checked(space))
            for key, value in keys.items():
                if isinstance(value, bytes) and len(value) <= LONGEST_BLOB:
                    image.write_entry(_checked(key), value, "binary", image.get_namespace_idx())
                elif type(value) is int and -(1 << 31) <= value < 1 << 31:
                    image.write_entry(_checked(key), value, "i32", image.get_namespace_idx())
                else:
                    raise NvsImageError(f"{space}.{key}: neither a 32-bit integer nor a blob")
        generator.nvs_close(image)
    except generator.InsufficientSizeError:
        raise NvsImageError(f"the values do not fit an NVS partition of {size} bytes") from None
    raw = out.getvalue()
    # The generator writes past its partition without a word in some corners, as esptool would.
    if len(raw) != size or decode(raw) != {s: dict(k) for s, k in values.items() if k}:
        raise NvsImageError(f"the values do not fit an NVS partition of {size} bytes")
    return raw


class _Entry(NamedTuple):
    space: int
    kind: int
    chunk: int
    key: str
    value: bytes  # the entry's 8 bytes
    data: bytes  # of the entries behind it


def _crc(*parts: bytes) -> int:
    value = 0xFFFFFFFF
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def _pages(raw: bytes) -> Iterator[bytes]:
    """Pages that hold entries, oldest first; a corrupt one is a free one, as for the chip."""
    found = []
    for at in range(0, len(raw), PAGE):
        page = raw[at : at + PAGE]
        state, sequence = struct.unpack_from("<II", page)
        (crc,) = struct.unpack_from("<I", page, 28)
        if state in _STATES and page[8] == _VERSION_2 and crc == _crc(page[4:28]):
            found.append((sequence, at, page))
    for _, _, page in sorted(found):
        yield page


def _entries(page: bytes) -> Iterator[_Entry]:
    def state(n: int) -> int:
        return page[32 + n // 4] >> n % 4 * 2 & 3

    n = 0
    while n < _ENTRIES:
        at = _HEADER + n * _ENTRY
        head = page[at : at + _ENTRY]
        n += 1
        if state(n - 1) != _WRITTEN or struct.unpack_from("<I", head, 4)[0] != _crc(
            head[:4], head[8:]
        ):
            continue
        space, kind, span, chunk = head[:4]
        value = head[24:]
        data = b""
        if kind in (_STRING, _BLOB, _CHUNK):
            size, crc = struct.unpack("<H2xI", value)
            if span != 1 + -(-size // _ENTRY) or n - 1 + span > _ENTRIES:
                continue
            if any(state(m) != _WRITTEN for m in range(n, n + span - 1)):
                continue
            n += span - 1
            data = page[at + _ENTRY : at + _ENTRY + size]
            if crc != _crc(data):
                continue
        key = head[8:24].split(b"\0", 1)[0].decode("ascii", "replace")
        yield _Entry(space, kind, chunk, key, value, data)


def decode(raw: bytes) -> dict[str, dict[str, Value]]:
    """What the chip would read: namespace -> key -> value; integers of any width, strings and
    blobs as bytes. What a power cut left half written is not there, as for the chip.

    NvsImageError when `raw` is no whole number of pages or too long.
    """
    if len(raw) % PAGE or len(raw) > LARGEST:
        raise NvsImageError(f"{len(raw)} bytes are no NVS partition")
    spaces: dict[int, str] = {}
    values: dict[tuple[int, str], _Entry] = {}
    chunks: dict[tuple[int, str, int], bytes] = {}
    for page in _pages(raw):
        for entry in _entries(page):
            if entry.space == 0:
                if entry.kind == 0x01:
                    spaces[entry.value[0]] = entry.key
            elif entry.kind == _CHUNK:
                chunks[entry.space, entry.key, entry.chunk] = entry.data
            else:
                values[entry.space, entry.key] = entry  # a later one replaces
    result: dict[str, dict[str, Value]] = {}
    for (space, key), entry in values.items():
        value = _value(entry, chunks)
        if value is not None and space in spaces:
            result.setdefault(spaces[space], {})[key] = value
    return result


def _value(entry: _Entry, chunks: Mapping[tuple[int, str, int], bytes]) -> Value | None:
    if entry.kind in _INTEGERS:
        number: int = struct.unpack_from(_INTEGERS[entry.kind], entry.value)[0]
        return number
    if entry.kind == _STRING:
        return entry.data.removesuffix(b"\0")
    if entry.kind == _BLOB:
        return entry.data
    if entry.kind != _INDEX:
        return None
    size, count, first = struct.unpack_from("<IBB", entry.value)
    parts = [chunks.get((entry.space, entry.key, (first + n) & 0xFF)) for n in range(count)]
    whole = b"".join(part for part in parts if part is not None)
    return whole if None not in parts and len(whole) == size else None
