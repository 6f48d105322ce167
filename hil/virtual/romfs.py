"""A ROMFS image: a file system of MicroPython whose bytecode executes where it lies.

Format: the comment at the head of MicroPython's extmod/vfs_rom.c.
"""

from collections.abc import Mapping

_MAGIC = b"\xd2\xcd\x31"
_DATA, _FILE = 2, 5  # kinds of records


def _varuint(n: int) -> bytes:
    out = bytes((n & 0x7F,))
    while n := n >> 7:
        out = bytes((n & 0x7F | 0x80,)) + out
    return out


def _record(kind: int, payload: bytes) -> bytes:
    return _varuint(kind) + _varuint(len(payload)) + payload


def image(files: Mapping[str, bytes]) -> bytes:
    """The bytes of a file system with these files, by name, in its one folder."""
    body = b"".join(
        _record(_FILE, _varuint(len(name.encode())) + name.encode() + _record(_DATA, data))
        for name, data in sorted(files.items())
    )
    return _MAGIC + _varuint(len(body)) + body
