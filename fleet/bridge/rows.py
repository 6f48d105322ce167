"""What every source gives: rows of texts, with a place to go on from."""

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

LONGEST = 1000  # characters of a cell
MOST_CELLS = 300


class Row(NamedTuple):
    """`place`: where it stands in its source, for people. A cell without a value is empty."""

    place: str
    cells: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The same for the same cells, wherever they stand."""
        said = json.dumps(sorted(self.cells.items()), ensure_ascii=False)
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Bad(NamedTuple):
    """What came and is no row at all."""

    row: Row
    why: str


class Batch(NamedTuple):
    """`cursor`: what to keep once the rows are stored; `is_last`: nothing more is there now."""

    rows: list[Row]
    bad: list[Bad]
    cursor: str
    is_last: bool


class Source(Protocol):
    """A connector. `read` raises SourceGone while it cannot be read."""

    def read(self, cursor: str) -> Batch:
        """What comes behind `cursor`, which is empty the first time."""

    def settled(self, batch: Batch) -> None:
        """The batch is stored and its cursor kept: the source may forget it."""

    def close(self) -> None:
        """Give back connections."""


def text_of(value: object) -> str:
    """A cell as text, exact: a number without an exponent, a time in ISO 8601.

    A double has its shortest text that gives the same double: what its maker wrote, up to 15
    digits.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return _plain(Decimal(repr(value)))
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()[:LONGEST]
    return str(value)[:LONGEST]


def _plain(number: Decimal) -> str:
    if not number.is_finite():
        return str(number)
    if number.adjusted() > 40 or number.adjusted() < -40:  # nothing measures so
        return str(number)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
