"""JSON documents as rows: which part has the items, and an item's inner values by dotted names."""

from collections.abc import Mapping
from typing import Any

from fleet.bridge.rows import MOST_CELLS, text_of

_DEEPEST = 6


def at(document: Any, path: str) -> Any:
    """What stands at a dotted path, `data.items`; None where nothing does. Empty: all of it."""
    found = document
    for name in path.split(".") if path else []:
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdecimal():
            found = found[int(name[:9])] if int(name[:9]) < len(found) else None
        else:
            return None
    return found


def cells(item: Any) -> dict[str, str]:
    """An item's values by name, inner ones as `meter.id`; lists by place, `values.0`."""
    found: dict[str, str] = {}
    _flat(item, "", found, 0)
    return found


def _flat(value: Any, name: str, found: dict[str, str], depth: int) -> None:
    if len(found) >= MOST_CELLS:
        return
    if depth < _DEEPEST and isinstance(value, Mapping):
        for key, inner in value.items():
            _flat(inner, f"{name}.{key}" if name else str(key), found, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for place, inner in enumerate(value):
            _flat(inner, f"{name}.{place}" if name else str(place), found, depth + 1)
    else:
        found[name or "value"] = text_of(value)
