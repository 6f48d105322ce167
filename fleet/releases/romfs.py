"""ROMFS images: a file system of MicroPython whose bytecode executes where it lies.

Format: the comment at the head of MicroPython's extmod/vfs_rom.c.
"""

from collections.abc import Mapping

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
