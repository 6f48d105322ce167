"""Non-volatile storage of a board: the `nvs` partition of its flash, in ESP-IDF's own format, and
what the firmware has not committed yet.
"""

import os
import struct
from pathlib import Path

from hil.virtual.nvs_pages import (
    ANY,
    BLOB_1,
    CHUNK,
    ENTRY,
    I32,
    INDEX,
    U8,
    Item,
    NvsFullError,
    NvsPages,
)

INTEGER, BLOB = 0, 1
NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND
TYPE_MISMATCH = -0x1103
NOT_ENOUGH_SPACE = -0x1105
NOT_INITIALIZED = -0x1101
VALUE_TOO_LONG = -0x110E
_NAMES = {
    NOT_FOUND: "ESP_ERR_NVS_NOT_FOUND",
    TYPE_MISMATCH: "ESP_ERR_NVS_TYPE_MISMATCH",
    NOT_ENOUGH_SPACE: "ESP_ERR_NVS_NOT_ENOUGH_SPACE",
    NOT_INITIALIZED: "ESP_ERR_NVS_NOT_INITIALIZED",
    VALUE_TOO_LONG: "ESP_ERR_NVS_VALUE_TOO_LONG",
}
_PAGE, _CHUNK_MOST, _CHUNKS_MOST = 4096, 4000, 127  # nvs_page.hpp; one page is kept free
_SECOND = 0x80  # first chunk's number of every other version of a blob
_MOST_SPACES = 254
_NO_INDEX = b"\xff" * 7


class NvsError(Exception):
    """An error that the firmware sees as OSError with this number."""

    def __init__(self, errno: int) -> None:
        super().__init__(f"NVS error {errno:#x}")
        self.errno = errno
        self.name = _NAMES[errno]


Value = int | bytes


class Nvs:
    """Namespaces of keys; int is an i32, bytes a blob.

    A commit writes to `flash`, where the partition lies at `offset` and has `size` bytes: 0 until
    `locate` has told, and without a partition for good.
    """

    def __init__(self, flash: Path) -> None:
        self._flash = flash
        self._offset = self._size = 0
        self._pages: NvsPages | None = None
        self._pending: dict[tuple[str, str], Value | None] = {}
        self.commits = 0

    def locate(self, offset: int, size: int) -> None:
        """The partition is there, and is read anew: something else may have written it."""
        self._offset, self._size = offset, size
        self._pages = None

    def boot(self) -> None:
        """What MicroPython does at its start: without a free page all is erased (ESP-IDF's
        ESP_ERR_NVS_NO_FREE_PAGES, which ports/esp32/main.c answers by nvs_flash_erase).
        """
        if self._size:
            self._open().recover()
            if not self._open().free_pages:
                self._open().erase_all()

    def set_blob(self, namespace: str, key: str, value: bytes) -> None:
        """Provision a blob from outside; durable when it returns."""
        self._provision(namespace, key, bytes(value))

    def set_i32(self, namespace: str, key: str, value: int) -> None:
        """Provision an integer from outside; durable when it returns."""
        self._provision(namespace, key, value)

    def get(self, namespace: str, key: str) -> Value | None:
        """The committed value, or None."""
        if not self._size:
            return None
        pages = self._open()
        space = self._space(namespace)
        for item in pages.find(space, key) if space else ():
            if item.kind == I32:
                number: int = struct.unpack("<i", pages.data(item)[:4])[0]
                return number
            if item.kind == BLOB_1:
                return pages.data(item)
            if item.kind == INDEX:
                return self._blob(pages, item)
        return None

    def keys(self, namespace: str) -> list[str]:
        """The committed keys of a namespace."""
        space = self._space(namespace) if self._size else 0
        names = {item.key for item in self._open().items if item.space == space} if space else ()
        return sorted(key for key in names if self.get(namespace, key) is not None)

    # For the firmware

    def read(self, namespace: str, key: str, kind: int) -> Value:
        """The value, uncommitted or not; NvsError when it is missing or of another type."""
        if (namespace, key) in self._pending:
            value = self._pending[namespace, key]
        else:
            value = self.get(namespace, key)
        if value is None:
            raise NvsError(NOT_FOUND)
        if isinstance(value, int) != (kind == INTEGER):
            raise NvsError(TYPE_MISMATCH)
        return value

    def write(self, namespace: str, key: str, value: Value) -> None:
        """Set a value; it is lost at a reset unless `commit` follows."""
        if not self._size:
            raise NvsError(NOT_INITIALIZED)
        most = min(self._size // _PAGE - 1, _CHUNKS_MOST) * _CHUNK_MOST
        if isinstance(value, bytes) and len(value) > most:
            raise NvsError(VALUE_TOO_LONG)
        self._pending[namespace, key] = value

    def erase(self, namespace: str, key: str) -> None:
        """Remove a key; NvsError when it is missing."""
        if (namespace, key) in self._pending:
            missing = self._pending[namespace, key] is None
        else:
            missing = self.get(namespace, key) is None
        if missing:
            raise NvsError(NOT_FOUND)
        self._pending[namespace, key] = None

    def commit(self, namespace: str) -> None:
        """Make the namespace's changes durable; NvsError when there is no room for one."""
        for space, key in [name for name in self._pending if name[0] == namespace]:
            self._store(space, key, self._pending.pop((space, key)))
        self.commits += 1

    def reset(self) -> None:
        """The chip was reset: what was not committed is gone."""
        self._pending.clear()

    # The partition

    def _provision(self, namespace: str, key: str, value: Value) -> None:
        for name in (namespace, key):
            if not 0 < len(name.encode()) <= 15:
                raise ValueError(f"NVS name {name!r} is not 1 to 15 bytes")
        if not self._size:
            raise ValueError(f"{self._flash} has no NVS partition: flash a partition table")
        self._store(namespace, key, value)

    def _open(self) -> NvsPages:
        if self._pages is None:
            with self._flash.open("rb") as file:
                file.seek(self._offset)
                raw = file.read(self._size)
            self._pages = NvsPages(raw, self._write_flash)
        return self._pages

    def _write_flash(self, offset: int, data: bytes) -> None:
        fd = os.open(self._flash, os.O_WRONLY)
        try:
            os.pwrite(fd, data, self._offset + offset)
        finally:
            os.close(fd)

    def _space(self, namespace: str) -> int:
        """The number of a namespace; 0 when there is none."""
        pages = self._open()
        for item in pages.items:
            if item.space == 0 and item.kind == U8 and item.key == namespace:
                return pages.data(item)[0]
        return 0

    def _new_space(self, namespace: str) -> int:
        pages = self._open()
        taken = {pages.data(item)[0] for item in pages.items if item.space == 0}
        number = next((n for n in range(1, _MOST_SPACES + 1) if n not in taken), 0)
        if not number:
            raise NvsError(NOT_ENOUGH_SPACE)
        pages.append(0, U8, ANY, namespace, bytes((number,)) + _NO_INDEX)
        return number

    def _blob(self, pages: NvsPages, index: Item) -> bytes | None:
        size, count, first = struct.unpack_from("<IBB", pages.data(index))
        chunks = {
            item.chunk: pages.data(item)
            for item in pages.find(index.space, index.key)
            if item.kind == CHUNK
        }
        parts = [chunks.get((first + n) & 0xFF) for n in range(count)]
        whole = b"".join(part for part in parts if part is not None)
        return whole if None not in parts and len(whole) == size else None

    def _store(self, namespace: str, key: str, value: Value | None) -> None:
        """The new value first, then the old one is erased, as ESP-IDF does it."""
        pages = self._open()
        space = self._space(namespace)
        old = pages.find(space, key) if space else []
        if value is None:
            pages.erase(old)
            return
        if old and self.get(namespace, key) == value:
            return  # ESP-IDF too writes nothing then
        new: list[Item] = []
        try:
            if not space:
                space = self._new_space(namespace)
                old = pages.find(space, key)  # of a namespace whose own entry was damaged
            if isinstance(value, int):
                new.append(
                    pages.append(space, I32, ANY, key, struct.pack("<i", value) + b"\xff" * 4)
                )
            else:
                self._append_blob(pages, space, key, value, old, new)
        except NvsFullError:
            pages.erase(new)
            raise NvsError(NOT_ENOUGH_SPACE) from None
        pages.erase(old)

    def _append_blob(
        self, pages: NvsPages, space: int, key: str, value: bytes, old: list[Item], new: list[Item]
    ) -> None:
        first = 0
        for item in old:
            if item.kind == INDEX and pages.data(item)[5] == 0:
                first = _SECOND
        at, count = 0, 0
        while at < len(value) or not count:
            if count == 127:
                raise NvsFullError
            most = (pages.room() - 1) * ENTRY
            part = value[at : at + most]
            new.append(pages.append(space, CHUNK, first + count, key, part))
            at += len(part)
            count += 1
        fields = struct.pack("<IBBH", len(value), count, first, 0xFFFF)
        new.append(pages.append(space, INDEX, ANY, key, fields))
