"""Non-volatile storage of a board: a JSON file, and what the firmware has not committed yet."""

import base64
import binascii
import json
import os
from pathlib import Path

INTEGER, BLOB = 0, 1
NOT_FOUND = -0x1102  # ESP_ERR_NVS_NOT_FOUND
TYPE_MISMATCH = -0x1103
NOT_ENOUGH_SPACE = -0x1105
_LONGEST = 4000  # bytes of a blob: what one 4 KiB page surely holds


class NvsError(Exception):
    """An error that the firmware sees as OSError with this number."""

    def __init__(self, errno: int) -> None:
        super().__init__(f"NVS error {errno:#x}")
        self.errno = errno


Value = int | bytes


class Nvs:
    """Namespaces of keys; int is an i32, bytes a blob. A commit writes `path` atomically."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: dict[str, dict[str, Value]] = {}
        self._pending: dict[tuple[str, str], Value | None] = {}
        self.commits = 0
        if path.exists():
            self._load()

    def set_blob(self, namespace: str, key: str, value: bytes) -> None:
        """Provision a blob from outside; durable when it returns."""
        self._provision(namespace, key, bytes(value))

    def set_i32(self, namespace: str, key: str, value: int) -> None:
        """Provision an integer from outside; durable when it returns."""
        self._provision(namespace, key, value)

    def get(self, namespace: str, key: str) -> Value | None:
        """The committed value, or None."""
        return self._data.get(namespace, {}).get(key)

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
        if isinstance(value, bytes) and len(value) > _LONGEST:
            raise NvsError(NOT_ENOUGH_SPACE)
        self._pending[namespace, key] = value

    def erase(self, namespace: str, key: str) -> None:
        """Remove a key; NvsError when it is missing."""
        if self._pending.get((namespace, key), self.get(namespace, key)) is None:
            raise NvsError(NOT_FOUND)
        self._pending[namespace, key] = None

    def commit(self, namespace: str) -> None:
        """Make the namespace's changes durable."""
        for space, key in [name for name in self._pending if name[0] == namespace]:
            value = self._pending.pop((space, key))
            if value is None:
                self._data.get(space, {}).pop(key, None)
            else:
                self._data.setdefault(space, {})[key] = value
        self.commits += 1
        self._save()

    def reset(self) -> None:
        """The chip was reset: what was not committed is gone."""
        self._pending.clear()

    def _provision(self, namespace: str, key: str, value: Value) -> None:
        for name in (namespace, key):
            if not 0 < len(name.encode()) <= 15:
                raise ValueError(f"NVS name {name!r} is not 1 to 15 bytes")
        self._data.setdefault(namespace, {})[key] = value
        self._save()

    def _load(self) -> None:
        try:
            spaces = json.loads(self._path.read_text())
            for space, keys in spaces.items():
                self._data[space] = {
                    key: value if isinstance(value, int) else base64.b64decode(value)
                    for key, value in keys.items()
                }
        except (OSError, ValueError, AttributeError, TypeError, binascii.Error) as e:
            raise ValueError(f"{self._path}: not the NVS of a virtual board: {e}") from None

    def _save(self) -> None:
        text = json.dumps(
            {
                space: {
                    key: value if isinstance(value, int) else base64.b64encode(value).decode()
                    for key, value in keys.items()
                }
                for space, keys in self._data.items()
            }
        )
        new = self._path.with_suffix(".new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # it holds keys
        with os.fdopen(fd, "w") as file:
            file.write(text)
        new.replace(self._path)
