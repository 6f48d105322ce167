"""A board's file system on CPython: what was flushed or closed stays, all else a power cut takes.

`mount` has the firmware's `open` and `os` go there for the paths of an update.
"""

import builtins
import io
import os
from collections.abc import Callable
from typing import Any

import pytest

BLOCK = 4096
PREFIXES = ("/update", "/slot", "/a.romfs", "/b.romfs", "/rom/")


class Files:
    """`kept` by path. `hook(what, path, data)` before and after each operation that changes it."""

    def __init__(self, blocks: int = 128) -> None:
        self.kept: dict[str, bytes] = {}
        self.blocks = blocks
        self.operations = 0
        self.hook: Callable[[str, str, bytes], None] = lambda _what, _path, _data: None
        self._life = 0

    @property
    def used(self) -> int:
        """In blocks."""
        return sum((len(data) + BLOCK - 1) // BLOCK for data in self.kept.values())

    @property
    def free(self) -> int:
        """In blocks."""
        return max(self.blocks - self.used, 0)

    def off(self) -> None:
        """The power fails: what is open is never written."""
        self._life += 1

    def change(self, what: str, path: str, data: bytes | None) -> None:
        """One atomic operation: `data` None removes."""
        self.operations += 1
        told = b"" if data is None else data
        self.hook(f"before {what}", path, told)
        if data is None:
            self.kept.pop(path, None)
        else:
            self.kept[path] = data
        self.hook(f"after {what}", path, told)

    def open(self, path: str, mode: str = "r", *_: Any, **__: Any) -> Any:
        """As the built-in."""
        if "r" in mode:
            if path not in self.kept:
                raise OSError(2, path)
            raw = self.kept[path]
            return io.BytesIO(raw) if "b" in mode else io.StringIO(raw.decode())
        before = self.kept.get(path, b"") if "a" in mode else b""
        return Handle(self, path, before, "b" in mode)

    def alive(self, life: int) -> bool:
        return life == self._life

    @property
    def life(self) -> int:
        return self._life

    def room(self, path: str, size: int) -> None:
        """OSError unless a file may grow to `size` bytes."""
        held = (len(self.kept.get(path, b"")) + BLOCK - 1) // BLOCK
        if (size + BLOCK - 1) // BLOCK > held + self.free:
            raise OSError(28, "ENOSPC")

    def stat(self, path: str, *_: Any, **__: Any) -> tuple[int, ...]:
        if path not in self.kept:
            raise OSError(2, path)
        return (0,) * 6 + (len(self.kept[path]), 0, 0, 0)

    def remove(self, path: str, *_: Any, **__: Any) -> None:
        if path not in self.kept:
            raise OSError(2, path)
        self.change("remove", path, None)

    def rename(self, path: str, other: str, *_: Any, **__: Any) -> None:
        data = self.kept[path]
        self.change("rename", other, data)
        self.kept.pop(path)

    def mkdir(self, path: str, *_: Any, **__: Any) -> None:
        """Folders are not kept."""

    def listdir(self, path: str) -> list[str]:
        found = [name.removeprefix(path + "/") for name in self.kept if name.startswith(path)]
        if not found:
            raise OSError(2, path)
        return found

    def statvfs(self, path: str) -> tuple[int, ...]:
        return (BLOCK, BLOCK, self.blocks, self.free, self.free, 0, 0, 0, 0, 255)

    def mount(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until the test ends."""
        for name in ("stat", "remove", "rename", "mkdir", "listdir"):
            monkeypatch.setattr(os, name, self._for(getattr(self, name), getattr(os, name)))
        monkeypatch.setattr(builtins, "open", self._for(self.open, builtins.open))
        monkeypatch.setattr(os, "statvfs", self.statvfs)

    def _for(self, ours: Any, theirs: Any) -> Any:
        def either(path: Any, *more: Any, **named: Any) -> Any:
            mine = isinstance(path, str) and path.startswith(PREFIXES)
            return (ours if mine else theirs)(path, *more, **named)

        return either


class Handle:
    """A file that is open for writing."""

    def __init__(self, files: Files, path: str, before: bytes, binary: bool) -> None:
        self._files = files
        self._path = path
        self._data = bytearray(before)
        self._binary = binary
        self._life = files.life
        self._dirty = True

    def write(self, data: Any) -> int:
        raw = bytes(data) if self._binary else data.encode()
        if self._files.alive(self._life):
            self._files.room(self._path, len(self._data) + len(raw))
        self._data += raw
        self._dirty = True
        return len(raw)

    def flush(self) -> None:
        if self._dirty and self._files.alive(self._life):
            self._files.change("write", self._path, bytes(self._data))
        self._dirty = False

    def close(self) -> None:
        self.flush()

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
