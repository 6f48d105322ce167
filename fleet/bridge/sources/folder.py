"""A folder into which somebody drops CSV and XLSX files: each is read once, and moved to `done`.

The cursor says which file, by what is in it, and which of its lines. A file that is dropped again
is read again, and what it says is there already.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fleet.bridge.errors import BridgeError, SourceGone
from fleet.bridge.keys import Keys
from fleet.bridge.rows import Bad, Batch, Row
from fleet.migration.errors import MigrationError
from fleet.migration.sheets import Line, Lines

DONE, REFUSED = "done", "refused"
FILES = ("*.csv", "*.txt", "*.xlsx")
_UNDER_WAY = (".tmp", ".part", ".filepart", ".crdownload", ".swp")


class _Open(NamedTuple):
    path: Path
    digest: str
    stamp: tuple[int, int]  # size and time of change, when it was opened
    lines: Iterator[Line]


class _Place(NamedTuple):
    digest: str = ""
    line: int = 0
    is_done: bool = False


class FolderSource:
    """`batch` lines at a time, file by file in the order of their names."""

    def __init__(self, table: Keys, batch: int, clock: Callable[[], float] = time.time) -> None:
        self._folder = table.file("path")
        self._patterns = [each.lower() for each in table.texts("files", FILES)]
        self._quiet_s = table.whole("quiet_s", 0, 86400, 5)
        table.end()
        self._batch, self._clock = batch, clock
        self._open: _Open | None = None
        self._digests: dict[tuple[str, int, int], str] = {}
        self._move: tuple[Path, str] | None = None
        self._is_unsettled = False

    def read(self, cursor: str) -> Batch:
        """The next lines of the file at hand; or those of the next file."""
        at = _place(cursor)
        if self._is_unsettled:  # what was read last was not taken in: its lines come again
            self._open = self._move = None
        self._is_unsettled = True
        try:
            opened = self._opened(at)
        except OSError as e:
            raise SourceGone(f"{self._folder}: {e.strerror}") from None
        if opened is None:
            return Batch([], [], cursor, True)
        if isinstance(opened, Bad):
            return Batch([], [opened], cursor, False)
        before = at.line if at.digest == opened.digest else 0
        lines: list[Line] = []
        bad: list[Bad] = []
        try:
            for line in islice(opened.lines, self._batch):
                lines.append(line)  # those before a damaged one stay
        except MigrationError as e:
            bad.append(_bad(opened.path, str(e)))
        rows = [Row(f"{opened.path.name}:{one.number}", one.cells) for one in lines]
        number = lines[-1].number if lines else before
        is_done = bool(bad) or len(lines) < self._batch
        if is_done:
            self._open = None
            if _stamp(opened.path) != opened.stamp:  # still being written: read it anew
                return Batch(rows, [], json.dumps(_Place(opened.digest, 0)._asdict()), True)
            self._move = (opened.path, REFUSED if bad else DONE)
        place = _Place(opened.digest, number, is_done)
        return Batch(rows, bad, json.dumps(place._asdict()), False)

    def settled(self, batch: Batch) -> None:
        """Move the file away that the batch was the last of."""
        self._is_unsettled = False
        move, self._move = self._move, None
        if move is not None:
            try:
                _moved(*move)
            except OSError as e:
                raise BridgeError(f"{move[0]} cannot be moved to {move[1]}/: {e.strerror}") from e

    def close(self) -> None:
        """Nothing stays open."""

    def _opened(self, at: _Place) -> _Open | Bad | None:
        """The file at hand, or the next one; files that were done when we were killed go away."""
        if self._open is not None:
            return self._open
        for path in self._ready():
            digest = self._digest(path)
            if at.is_done and digest == at.digest:
                _moved(path, DONE)
                continue
            stamp = _stamp(path)
            try:
                lines = iter(Lines(path))
            except MigrationError as e:
                self._move = (path, REFUSED)
                return _bad(path, str(e))
            if digest == at.digest:
                lines = (line for line in lines if line.number > at.line)
            self._open = _Open(path, digest, stamp, lines)
            return self._open
        return None

    def _ready(self) -> list[Path]:
        if not self._folder.is_dir():
            raise SourceGone(f"{self._folder} is no folder")
        now = self._clock()
        found = []
        for path in sorted(self._folder.iterdir()):
            name = path.name.lower()
            if name.startswith((".", "~")) or name.endswith(_UNDER_WAY) or path.is_symlink():
                continue
            if not path.is_file() or not any(
                fnmatch(name, each.lower()) for each in self._patterns
            ):
                continue
            if now - path.stat().st_mtime >= self._quiet_s:
                found.append(path)
        return found

    def _digest(self, path: Path) -> str:
        key = (path.name, *_stamp(path))
        if key not in self._digests:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            self._digests = {key: found}  # of one file: the next one is asked once, too
        return self._digests[key]


def _bad(path: Path, why: str) -> Bad:
    return Bad(Row(path.name, {"file": path.name}), why)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _moved(path: Path, where: str) -> None:
    folder = path.parent / where
    folder.mkdir(exist_ok=True)
    to = folder / path.name
    number = 1
    while to.exists():
        number += 1
        to = folder / f"{path.stem}-{number}{path.suffix}"
    path.rename(to)


def _place(cursor: str) -> _Place:
    if not cursor:
        return _Place()
    try:
        raw = json.loads(cursor)
        return _Place(str(raw["digest"]), int(raw["line"]), bool(raw["is_done"]))
    except (ValueError, KeyError, TypeError):
        raise BridgeError(f"the cursor {cursor[:80]!r} is none of a folder") from None
