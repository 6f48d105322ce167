"""Lines of a CSV file or an XLSX sheet, as texts by column, with what spreadsheets do to numbers.

A spreadsheet keeps numbers as doubles: of a card's 20 digits it has lost the last four, and nobody
can tell. Such cells come out with the mark LOST in front.
"""

import csv
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from fleet.migration import columns
from fleet.migration.errors import MigrationError

MOST_BYTES = 200_000_000
MOST_INFLATED = 1_000_000_000  # of a workbook, which is a ZIP file
MOST_LINES = 1_000_000
LOST = "\x00"  # in front of a number whose last digits are gone
_KEPT = 10**15  # Excel keeps 15 digits of a number that is typed
_LONGEST = 1000  # characters of a cell


class Line(NamedTuple):
    """`number` as people count: the headings are line 1."""

    number: int
    cells: dict[str, str]

    def get(self, name: str) -> str:
        """The text of a column; empty where there is none."""
        return self.cells.get(name, "")


class Lines:
    """A file whose first line names its columns, in words of its own; can be read again and
    again. MigrationError for what is no such file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name[:100]
        if path.stat().st_size > MOST_BYTES:
            raise MigrationError(f"{self.name} has over {MOST_BYTES // 1_000_000} MB: split it")
        self._rows = _workbook(path) if _is_workbook(path) else None
        self._encoding = "" if self._rows is not None else _encoding(path)
        first = next(self._raw(), [])
        self._places = self._named(first)

    def __iter__(self) -> Iterator[Line]:
        rows = self._raw()
        next(rows, None)
        for number, row in enumerate(rows, 2):
            if number > MOST_LINES + 1:
                raise MigrationError(f"{self.name} has over {MOST_LINES} lines: split it")
            cells = {
                name: _tidy(row[place]) for name, place in self._places.items() if place < len(row)
            }
            if any(cells.values()):
                yield Line(number, cells)

    def _named(self, first: Sequence[str]) -> dict[str, int]:
        """Name -> place of each column."""
        found: dict[str, int] = {}
        for place, heading in enumerate(map(_tidy, first)):
            if heading in found:
                raise MigrationError(f"{self.name}: two columns are named {heading[:40]!r}")
            if heading:
                found[heading] = place
        if not found:
            raise MigrationError(f"{self.name}: its first line names no columns")
        return found

    def _raw(self) -> Iterator[list[str]]:
        if self._rows is not None:
            yield from self._rows
            return
        with self.path.open(encoding=self._encoding, newline="") as file:
            try:
                yield from csv.reader(file, dialect=self._dialect())
            except (csv.Error, UnicodeError) as e:
                raise MigrationError(f"{self.name} is no CSV file: {e}") from None

    def _dialect(self) -> type[csv.Dialect]:
        with self.path.open(encoding=self._encoding, newline="") as file:
            first = file.readline(10_000)
        mark = max(",;\t", key=first.count)

        class Dialect(csv.excel):
            delimiter = mark

        return Dialect


class Sheet(Lines):
    """The same with the columns that a sheet of some kind has, whatever people call them."""

    def __init__(self, path: Path, kind: str, needed: Sequence[str]) -> None:
        """`kind`: of columns.toml."""
        self._kind, self._needed = kind, needed
        super().__init__(path)

    def _named(self, first: Sequence[str]) -> dict[str, int]:
        return columns.places(self._kind, first, self._needed, self.name)


def _is_workbook(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _encoding(path: Path) -> str:
    # Excel in China writes GB 18030 unless asked for UTF-8.
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            with path.open(encoding=encoding, newline="") as file:
                while file.read(1 << 20):
                    pass
        except UnicodeError:
            continue
        return encoding
    raise MigrationError(f"{path.name[:100]} is neither UTF-8 nor GB 18030 text")


def _workbook(path: Path) -> list[list[str]]:
    from python_calamine import CalamineError, CalamineWorkbook

    name = path.name[:100]
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(each.file_size for each in archive.infolist()) > MOST_INFLATED:
                raise MigrationError(f"{name} holds over {MOST_INFLATED // 10**6} MB: split it")
        book = CalamineWorkbook.from_path(path)
        raw = book.get_sheet_by_index(0).to_python(skip_empty_area=False, nrows=MOST_LINES + 2)
    except MigrationError:
        raise
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError, IndexError) as e:
        reason = (str(e).splitlines() or ["damaged"])[0]
        raise MigrationError(f"{name} is no workbook of Excel: {reason[:80]}") from None
    return [[_text(cell) for cell in row] for row in raw]


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        text = str(int(cell)) if cell.is_integer() and abs(cell) < 1e30 else repr(cell)
        return text if abs(cell) < _KEPT else LOST + text
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return str(cell)


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFKC", text[:_LONGEST]).strip().lstrip("'").strip()
    if text.startswith('="') and text.endswith('"'):  # how a CSV file keeps Excel from counting
        text = text[2:-1]
    return " ".join(text.split()) if not text.startswith(LOST) else text
