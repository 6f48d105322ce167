"""ESP-IDF's image format: what the ROM and the bootloader load. Bytes in, a value out, and back.

Source: "App Image Format" of ESP-IDF's programming guide, and `esp_app_desc_t`.
"""

import hashlib
import struct
from collections.abc import Sequence
from functools import reduce
from operator import xor
from typing import NamedTuple

from fleet.errors import Refusal

MAGIC = 0xE9
MOST_SEGMENTS = 16
_HEADER = struct.Struct("<BBBBI B3sHBHH4sB")
_SEGMENT = struct.Struct("<II")
_SEED = 0xEF  # of the checksum
_DIGEST = 32
_DESCRIPTION = struct.Struct("<II8s32s32s16s16s32s32s80s")
_DESCRIPTION_MAGIC = 0xABCD5432
_MEGABYTE = 1024 * 1024
_FLASH_SIZES = tuple(_MEGABYTE << n for n in range(8))  # by the header's upper nibble


class ImageError(Refusal, ValueError):
    """The bytes are no image that a chip would load; the text says which part is wrong."""


class Segment(NamedTuple):
    """`data` is loaded to `address`."""

    address: int
    data: bytes


class Description(NamedTuple):
    """What an application says about itself, at the start of its first segment."""

    project: str
    version: str
    idf: str
    secure_version: int = 0
    date: str = ""
    time: str = ""


class Image(NamedTuple):
    """A valid image. `size` in bytes with checksum and digest; `digest` is None when it has none.

    `flash_bytes` is the flash size of its header, 0 when that is none that this format knows.
    """

    chip_id: int
    entry: int
    segments: tuple[Segment, ...]
    flash_bytes: int
    digest: bytes | None
    size: int
    description: Description | None


def _checksum(segments: Sequence[Segment]) -> int:
    value = _SEED
    for _, data in segments:
        # Word by word: a byte loop over 1.6 MB takes a second.
        words = len(data) // 8
        folded = reduce(xor, struct.unpack(f"<{words}Q", data[: words * 8]), 0)
        value = reduce(xor, folded.to_bytes(8, "little") + data[words * 8 :], value)
    return value


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _description(first: bytes) -> Description | None:
    if len(first) < _DESCRIPTION.size:
        return None
    magic, secure, _, version, project, time, date, idf, _, _ = _DESCRIPTION.unpack_from(first)
    if magic != _DESCRIPTION_MAGIC:
        return None
    return Description(
        _text(project), _text(version), _text(idf), secure, _text(date), _text(time)
    )


def parse(raw: bytes) -> Image:
    """The image at the start of `raw`, whatever follows it; ImageError says what is wrong."""
    if len(raw) < _HEADER.size:
        raise ImageError(f"an image header has {_HEADER.size} bytes, here are {len(raw)}")
    magic, count, _, size_freq, entry, _, _, chip_id, _, _, _, _, hashed = _HEADER.unpack_from(raw)
    if magic != MAGIC:
        raise ImageError(f"not an ESP image: it starts with {magic:#04x}, not {MAGIC:#04x}")
    if not 0 < count <= MOST_SEGMENTS:
        raise ImageError(f"the header tells of {count} segments, 1 to {MOST_SEGMENTS} can be")
    if hashed > 1:
        raise ImageError(f"the header's mark of a digest is {hashed}, not 0 or 1")
    at = _HEADER.size
    segments: list[Segment] = []
    for number in range(count):
        if at + _SEGMENT.size > len(raw):
            raise ImageError(f"cut short in the header of segment {number}, at byte {at}")
        address, length = _SEGMENT.unpack_from(raw, at)
        at += _SEGMENT.size
        if length % 4:
            raise ImageError(f"segment {number} has {length} bytes, no multiple of 4")
        if length > len(raw) - at:
            raise ImageError(
                f"cut short: segment {number} needs {length} bytes, {len(raw) - at} are left"
            )
        segments.append(Segment(address, raw[at : at + length]))
        at += length
    end = at // 16 * 16 + 16  # the checksum is the last byte of a block of 16
    if end > len(raw):
        raise ImageError("cut short before its checksum")
    found, computed = raw[end - 1], _checksum(segments)
    if found != computed:
        raise ImageError(f"its checksum is {found:#04x}, its segments give {computed:#04x}")
    digest = None
    if hashed:
        digest = raw[end : end + _DIGEST]
        if len(digest) < _DIGEST:
            raise ImageError("cut short before its SHA-256")
        if digest != hashlib.sha256(raw[:end]).digest():
            raise ImageError("its SHA-256 does not fit its contents: it is damaged")
        end += _DIGEST
    nibble = size_freq >> 4
    return Image(
        chip_id,
        entry,
        tuple(segments),
        _FLASH_SIZES[nibble] if nibble < len(_FLASH_SIZES) else 0,
        digest,
        end,
        _description(segments[0].data),
    )


def build(
    chip_id: int, entry: int, segments: Sequence[Segment], flash_bytes: int = 4 * _MEGABYTE
) -> bytes:
    """An image of these segments with checksum and SHA-256; data is padded to whole words."""
    if not 0 < len(segments) <= MOST_SEGMENTS:
        raise ImageError(f"{len(segments)} segments, 1 to {MOST_SEGMENTS} can be")
    padded = [Segment(a, data + bytes(-len(data) % 4)) for a, data in segments]
    # DIO at 40 MHz, as MicroPython's releases; no minimum revision, none too new.
    body = _HEADER.pack(
        MAGIC, len(padded), 2, _flash_nibble(flash_bytes) << 4, entry,
        0xEE, bytes(3), chip_id, 0, 0, 0xFFFF, bytes(4), 1,
    )  # fmt: skip
    for address, data in padded:
        body += _SEGMENT.pack(address, len(data)) + data
    body += bytes(15 - len(body) % 16) + bytes([_checksum(padded)])
    return body + hashlib.sha256(body).digest()


def description(about: Description) -> bytes:
    """The 256 bytes that begin an application's first segment."""
    return _DESCRIPTION.pack(
        _DESCRIPTION_MAGIC, about.secure_version, bytes(8), about.version.encode(),
        about.project.encode(), about.time.encode(), about.date.encode(), about.idf.encode(),
        bytes(32), bytes(80),
    )  # fmt: skip


def _flash_nibble(flash_bytes: int) -> int:
    if flash_bytes not in _FLASH_SIZES:
        raise ImageError(f"a flash of {flash_bytes} bytes has no number in an image's header")
    return _FLASH_SIZES.index(flash_bytes)


def with_flash_size(raw: bytes, flash_bytes: int) -> bytes:
    """The image for a flash of another size: a bootloader refuses partitions behind its own.

    Header and SHA-256 change; the checksum covers segments only.
    """
    image = parse(raw)
    changed = bytearray(raw)
    changed[3] = _flash_nibble(flash_bytes) << 4 | changed[3] & 15
    if image.digest is not None:
        end = image.size - _DIGEST
        changed[end : image.size] = hashlib.sha256(changed[:end]).digest()
    return bytes(changed)
