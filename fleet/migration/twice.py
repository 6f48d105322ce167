"""What a file says twice: the first reading of it, by hashes, so that a million lines fit."""

from collections.abc import Iterable

from fleet.migration.entries import Entry

FIELDS = ("number", "asset", "imei", "iccid", "address")


class Twice:
    """The values that more than one line has."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[int, int]] = {name: {} for name in FIELDS}
        self._more: dict[str, dict[int, list[int]]] = {name: {} for name in FIELDS}

    def note(self, entries: Iterable[Entry]) -> None:
        """Look at some lines; those that are refused say nothing."""
        for entry in entries:
            if entry.refused is not None:
                continue
            for name in FIELDS:
                text = value_of(entry, name)
                if not text:
                    continue
                key = hash(text)
                first = self._lines[name].setdefault(key, entry.line.number)
                if first != entry.line.number:
                    self._more[name].setdefault(key, [first]).append(entry.line.number)

    def others(self, entry: Entry, name: str) -> list[int]:
        """The other lines that have the entry's value, by number."""
        found = self._more[name].get(hash(value_of(entry, name)), [])
        return [number for number in found if number != entry.line.number]


def value_of(entry: Entry, name: str) -> str:
    """What is compared; an address is one within its protocol only."""
    if name == "address":
        address = entry.values.get("address")
        return f"{entry.values.get('protocol')} {address}" if address else ""
    return str(getattr(entry, name))
