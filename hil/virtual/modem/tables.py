"""Reading TOML tables strictly: each wrong value or unknown key is one line with file and key."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TableError(ValueError):
    """The file cannot be used; the text is one line that names file and key."""


def read(path: Path) -> "Table":
    """The file's top table."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise TableError(f"{path}: {e.strerror or e}") from None
    except UnicodeDecodeError:
        raise TableError(f"{path}: not UTF-8") from None
    except tomllib.TOMLDecodeError as e:
        raise TableError(f"{path}: {e}") from None
    return Table(values, str(path), "")


class Table:
    """One table. Every getter gives the default for a missing key; `done` refuses what is left."""

    def __init__(self, values: Mapping[str, Any], file: str, name: str) -> None:
        self._values = dict(values)
        self._file = file
        self._name = name

    def fail(self, key: str, what: str) -> TableError:
        """The error to raise about `key`."""
        place = f"{self._name}.{key}" if self._name else key
        return TableError(f"{self._file}: {place}: {what}")

    def done(self) -> None:
        """TableError for a key that nobody asked for."""
        for key in self._values:
            raise self.fail(key, "there is no such key")

    def has(self, key: str) -> bool:
        """Whether `key` is there and not yet taken."""
        return key in self._values

    def table(self, key: str) -> "Table":
        """A table within this one, empty where it is missing."""
        value = self._values.pop(key, {})
        if not isinstance(value, dict):
            raise self.fail(key, "must be a table")
        return Table(value, self._file, f"{self._name}.{key}" if self._name else key)

    def tables(self, key: str) -> list["Table"]:
        """An array of tables."""
        value = self._values.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(key, "must be an array of tables")
        return [Table(item, self._file, f"{key}[{at}]") for at, item in enumerate(value)]

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """An integer or a float within `low`..`high`."""
        value = self._values.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(key, "must be a number")
        if not low <= value <= high:
            raise self.fail(key, f"must be within {low} and {high}")
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """An integer within `low`..`high`."""
        value = self._values.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(key, "must be a whole number")
        if not low <= value <= high:
            raise self.fail(key, f"must be within {low} and {high}")
        return value

    def maybe_whole(self, key: str, low: int, high: int) -> int | None:
        """As `whole`; None where it is missing."""
        return self.whole(key, low, low, high) if self.has(key) else None

    def maybe_number(self, key: str, low: float, high: float) -> float | None:
        """As `number`; None where it is missing."""
        return self.number(key, low, low, high) if self.has(key) else None

    def pair(self, key: str, default: tuple[float, float], most: float) -> tuple[float, float]:
        """Least and most, both within 0..`most`."""
        value = self._values.pop(key, list(default))
        good = isinstance(value, list) and len(value) == 2
        if not good or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
            raise self.fail(key, "must be two numbers, [least, most]")
        low, high = float(value[0]), float(value[1])
        if not 0 <= low <= high <= most:
            raise self.fail(key, f"must rise, within 0 and {most}")
        return low, high

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._values.pop(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, "must be true or false")
        return value

    def text(self, key: str, default: str) -> str:
        """A text."""
        value = self._values.pop(key, default)
        if not isinstance(value, str):
            raise self.fail(key, "must be a text")
        return value

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of some texts."""
        value = self.text(key, default)
        if value not in choices:
            raise self.fail(key, f"must be one of {', '.join(choices)}")
        return value

    def bits(self, key: str, length: int) -> str | None:
        """A text of `length` zeros and ones; None where it is missing."""
        if not self.has(key):
            return None
        value = self.text(key, "")
        if len(value) != length or set(value) - {"0", "1"}:
            raise self.fail(key, f"must be a text of {length} bits")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """An array of texts, or one text; None where it is missing."""
        if not self.has(key):
            return None
        value = self._values.pop(key)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, "must be texts")
        return tuple(value)

    def wholes(self, key: str, low: int, high: int) -> tuple[int, ...]:
        """An array of integers, each within `low`..`high`."""
        value = self._values.pop(key, [])
        if not isinstance(value, list) or any(
            isinstance(v, bool) or not isinstance(v, int) or not low <= v <= high for v in value
        ):
            raise self.fail(key, f"must be whole numbers within {low} and {high}")
        return tuple(value)
