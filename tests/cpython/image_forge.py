"""Images as an attacker makes them: good ones, digest included, but for a record more."""

import hashlib

from release_rig import keys, of, signed, small_image

from fleet.releases import romfs, slots
from fleet.releases.bundle import Bundle
from fleet.wire import release


def file(name: bytes) -> bytes:
    """A record with any bytes as its name."""
    data = romfs._record(romfs._DATA, b"M\x06\0\x1f")
    return romfs._record(romfs._FILE, romfs._varuint(len(name)) + name + data)


def image_with(more: bytes, sequence: int = 7) -> bytes:
    """An image that is a good one but for a record more, its digest included."""
    good = small_image(sequence)
    _, at = romfs._number(good, 3, len(good))
    body = good[at:] + more
    made = romfs._MAGIC + romfs._varuint(len(body)) + body
    return resealed(made)


def resealed(made: bytes) -> bytes:
    at = made.index(slots.DIGEST.encode()) + len(slots.DIGEST) + 2
    rest = made[:at], made[at + 32 :]
    return rest[0] + hashlib.sha256(b"".join(rest)).digest() + rest[1]


def with_record(more: bytes) -> Bundle:
    image = image_with(more)
    return signed(of({release.APPLICATION: image}, 7), keys().release)
