"""Values of a cursor's columns as text that comes back as the same value, with its type."""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from fleet.bridge.errors import BridgeError

Key = tuple[object, ...]
LATE_S, LATE_ROWS = 600, 100  # how far behind a cursor rows may still be committed


def written(key: Key) -> str:
    """As JSON; BridgeError for a type that orders nothing exactly."""
    return json.dumps([_pair(value) for value in key], ensure_ascii=False)


def read(text: str, columns: Sequence[str]) -> Key | None:
    """What `written` gave; None for the empty text. BridgeError for another number of columns."""
    if not text:
        return None
    try:
        pairs = json.loads(text)
        key = tuple(_value(kind, said) for kind, said in pairs)
    except (ValueError, TypeError, ArithmeticError):
        raise BridgeError(f"the cursor {text[:80]!r} is none of a database") from None
    if len(key) != len(columns):
        raise BridgeError(
            f"the cursor has {len(key)} columns, the mapping {', '.join(columns)}: "
            "kapok bridge rewind, or another name"
        )
    return key


def behind(value: object, overlap: int) -> object:
    """A value so far before another; text orders without distances, so it is the same."""
    if overlap <= 0 or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value - timedelta(seconds=overlap)
    if isinstance(value, date):
        return value - timedelta(days=-(-overlap // 86400))
    if isinstance(value, int | Decimal):
        return value - overlap
    return value


def usual(value: object) -> int:
    """How far behind to look where the mapping does not say."""
    return LATE_S if isinstance(value, date) else LATE_ROWS


def _pair(value: object) -> list[str]:
    if isinstance(value, bool) or value is None or isinstance(value, float):
        raise BridgeError(f"a cursor of {type(value).__name__} has no order that can be trusted")
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    if isinstance(value, datetime):
        return ["time", value.isoformat()]
    if isinstance(value, date):
        return ["day", value.isoformat()]
    if isinstance(value, str):
        return ["text", value]
    raise BridgeError(f"a cursor of {type(value).__name__}: numbers, times or texts")


def _value(kind: str, said: str) -> object:
    if kind == "int":
        return int(said)
    if kind == "decimal":
        return Decimal(said)
    if kind == "time":
        return datetime.fromisoformat(said)
    if kind == "day":
        return date.fromisoformat(said)
    if kind == "text":
        return said
    raise ValueError(kind)
