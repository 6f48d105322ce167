"""Keys of a TOML table, each of one type, and none that nobody knows."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fleet.bridge.errors import MappingFault

_MOST_BYTES = 1_000_000


def load(path: Path) -> "Keys":
    """The outermost table of a file; MappingFault."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MappingFault(f"{path}: over {_MOST_BYTES} bytes are no file of a bridge")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise MappingFault(f"cannot read {path}: {e.strerror}") from None
    except (ValueError, RecursionError) as e:
        raise MappingFault(f"{path}: {str(e).splitlines()[0]}") from None
    return Keys(raw, "", path)


class Keys:
    """A table; `where` is its name, empty for the outermost. `end` it when all is read."""

    def __init__(self, raw: dict[str, Any], where: str, path: Path) -> None:
        self._raw, self._where, self.path = raw, where, path
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._raw

    def fault(self, key: str, what: str) -> MappingFault:
        """An error that names a key."""
        return MappingFault(f"{self.path.name}: {self._name(key)}: {what}")

    def text(self, key: str, default: str | None = None, most: int = 500) -> str:
        """A text that is not empty, unless the default is."""
        value = self._get(key, default)
        if value == default and isinstance(value, str):
            return value
        if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
            raise self.fault(key, f"a text of 1 to {most} characters")
        return value

    def one_of(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of a few words."""
        value = self.text(key, default)
        if value not in choices:
            raise self.fault(key, f"{value[:40]!r}: one of {', '.join(choices)}")
        return value

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.fault(key, f"a whole number, {least} to {most}")
        return value

    def is_on(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.fault(key, "true or false")
        return value

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of texts; one text alone is a list of one."""
        value = self._get(key, default)
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self.fault(key, "a list of texts")
        return tuple(value)

    def numbers(self, key: str) -> dict[str, int]:
        """A table of whole numbers by text; empty where there is none."""
        value = self._get(key, {})
        if not isinstance(value, dict) or not all(
            isinstance(one, int) and not isinstance(one, bool) for one in value.values()
        ):
            raise self.fault(key, "a table such as {open = 0, closed = 1}")
        return value

    def lists(self, key: str) -> dict[str, tuple[str, ...]]:
        """A table of texts, or lists of them, by text; empty where there is none."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            raise self.fault(key, 'a table such as {tag = "TOTAL"}')
        inner = Keys(value, self._name(key), self.path)
        return {name: inner.texts(name) for name in value}

    def table(self, key: str) -> "Keys":
        """A table that must be there."""
        value = self._get(key, None)
        if not isinstance(value, dict):
            raise self.fault(key, f"a table: [{self._name(key)}]")
        return Keys(value, self._name(key), self.path)

    def tables(self, key: str) -> list["Keys"]:
        """One table at least: [[key]]."""
        value = self._get(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
            raise self.fault(key, f"one table at least: [[{self._name(key)}]]")
        name = self._name(key)
        return [Keys(one, f"{name}[{place}]", self.path) for place, one in enumerate(value, 1)]

    def file(self, key: str) -> Path:
        """A path, from the folder of this file on."""
        return self.path.parent / self.text(key)

    def secret(self, key: str) -> str:
        """`key`, or the first line of the file that `<key>_file` names; empty where neither is."""
        if f"{key}_file" in self:
            path = self.file(f"{key}_file")
            try:
                first = path.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as e:
                raise self.fault(f"{key}_file", f"cannot read {path}: {e}"[:200]) from None
            self._read.add(key)
            return first[0].strip() if first else ""
        return self.text(key, "")

    def end(self) -> None:
        """MappingFault for a key that nobody asked for."""
        for key in self._raw:
            if key not in self._read:
                known = ", ".join(sorted(self._read))
                raise self.fault(key, f"no such key; there are {known}")

    def _get(self, key: str, default: object) -> Any:
        self._read.add(key)
        if key not in self._raw and default is None:
            raise self.fault(key, "is missing")
        return self._raw.get(key, default)

    def _name(self, key: str) -> str:
        return f"{self._where}.{key[:40]}" if self._where else key[:40]
