"""ROMFS images: a file system of MicroPython whose bytecode executes where it lies.

Format: the comment at the head of MicroPython's extmod/vfs_rom.c.
"""

import re
from collections.abc import Mapping

from fleet.errors import Refusal

# What a name may be: neither `..` nor a separator. Two that differ by case alone are one.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,47}(\.mpy)?")
DEEPEST = 4  # folders within one another
_MAGIC = b"\xd2\xcd\x31"
_DATA, _FOLDER, _FILE = 2, 4, 5  # kinds of records


def _varuint(n: int) -> bytes:
    out = bytes((n & 0x7F,))
    while n := n >> 7:
        out = bytes((n & 0x7F | 0x80,)) + out
    return out


def _record(kind: int, payload: bytes) -> bytes:
    return _varuint(kind) + _varuint(len(payload)) + payload


def _named(kind: int, name: str, content: bytes) -> bytes:
    text = name.encode()
    return _record(kind, _varuint(len(text)) + text + content)


def _records(files: Mapping[str, bytes]) -> bytes:
    """The records of one folder: its files and, by recursion, its folders."""
    folders: dict[str, dict[str, bytes]] = {}
    body = b""
    for name, data in files.items():
        folder, slash, rest = name.partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = data
        else:
            body += _named(_FILE, name, _record(_DATA, data))
    return body + b"".join(_named(_FOLDER, name, _records(f)) for name, f in folders.items())


def image(files: Mapping[str, bytes]) -> bytes:
    """The bytes of a file system with these files by path (`folder/name`), in this order.

    A folder's files come before the folders in it.
    """
    body = _records(files)
    return _MAGIC + _varuint(len(body)) + body


class RomfsError(Refusal, ValueError):
    """The bytes are no image that we would make; the text says what is wrong with them."""


def read(data: bytes) -> dict[str, bytes]:
    """The files of an image by path, in its order; RomfsError unless it is, byte by byte, one
    that `image` makes of them: no other records, no name twice, no number longer than it need be.
    """
    if data[:3] != _MAGIC:
        raise RomfsError("no ROMFS image")
    end, at = _number(data, 3, len(data))
    if at + end != len(data):
        raise RomfsError(f"a file system of {end} bytes in an image with {len(data) - at}")
    files: dict[str, bytes] = {}
    _folder(data, at, len(data), "", files)
    if image(files) != data:
        raise RomfsError("records in another order or form than an image has them")
    return files


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for taken in range(5):
        if at + taken >= end:
            break
        byte = data[at + taken]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + taken + 1
    raise RomfsError(f"no number at {at}")


def _part(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    kind, at = _number(data, at, end)
    size, at = _number(data, at, end)
    if at + size > end:
        raise RomfsError(f"a record of {size} bytes at {at} ends behind what holds it")
    return kind, at, at + size


def _folder(data: bytes, at: int, end: int, path: str, files: dict[str, bytes]) -> None:
    names = set()
    while at < end:
        kind, at, behind = _part(data, at, end)
        if kind not in (_FILE, _FOLDER):
            raise RomfsError(f"a record of kind {kind} in the folder {path or '/'!r}")
        size, at = _number(data, at, behind)
        if at + size > behind:
            raise RomfsError(f"a name at {at} ends behind its record")
        try:
            name = data[at : at + size].decode("ascii")
        except UnicodeDecodeError:
            raise RomfsError(f"a name at {at} is not ASCII") from None
        if not NAME.fullmatch(name):
            raise RomfsError(f"the name {name[:40]!r} in {path or '/'!r}: not {NAME.pattern}")
        if name.lower() in names:
            raise RomfsError(f"{path + name!r} is there twice")
        names.add(name.lower())
        at += size
        if kind == _FOLDER:
            if path.count("/") == DEEPEST:
                raise RomfsError(f"folders deeper than {DEEPEST}")
            if at == behind:
                raise RomfsError(f"the folder {path + name!r} is empty")
            _folder(data, at, behind, f"{path}{name}/", files)
        else:
            inner, start, stop = _part(data, at, behind)
            if inner != _DATA or stop != behind:
                raise RomfsError(f"{path + name!r} has other records than its data")
            files[path + name] = data[start:stop]
        at = behind
