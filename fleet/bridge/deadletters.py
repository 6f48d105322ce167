"""Rows that could not be taken in, in a file for people: one JSON object a line, kept until a
retry takes them in or somebody deletes them.

A letter is on disk before the cursor passes its row. After a kill in between the row comes again
and its letter is there already, since a row has one id.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from fleet.bridge.errors import BridgeError
from fleet.bridge.rows import Row

MOST = 100_000  # letters of one source: one whose mapping is wrong must not fill the disk
_WAIT_S = 30.0


class Letter(NamedTuple):
    """A row and why it was refused; `at_us` when first."""

    id: str
    at_us: int
    place: str
    why: str
    cells: Mapping[str, str]

    @property
    def row(self) -> Row:
        """The row as it came."""
        return Row(self.place, self.cells)

    def line(self) -> str:
        """As it stands in the file."""
        return json.dumps(self._asdict(), ensure_ascii=False) + "\n"


def letter(source: str, row: Row, why: str, at_us: int) -> Letter:
    """Of a row. Its id hangs on its source and its cells, not on where or when it was read."""
    made = hashlib.sha256(f"{source}\n{row.digest}".encode()).hexdigest()[:16]
    return Letter(made, at_us, row.place, why, row.cells)


class DeadLetters:
    """The file of one source. Several processes may use it at once."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self.path, self._most = path, most
        self._lock = FileLock(f"{path}.lock", timeout=_WAIT_S)
        self._ids: set[str] = set()
        self._seen = (0, 0)  # inode and size of the file whose ids these are

    def add(self, letters: Iterable[Letter]) -> int:
        """Write those that are not there; on disk when this returns. How many were new.

        BridgeError when there are too many: the source waits, and nothing is lost.
        """
        several = {one.id: one for one in letters}
        if not several:
            return 0
        with self._held():
            self._refresh()
            fresh = [one for key, one in several.items() if key not in self._ids]
            if len(self._ids) + len(fresh) > self._most:
                raise BridgeError(
                    f"{self.path} has {len(self._ids)} dead letters, {self._most} at most: mend "
                    "the mapping and kapok bridge retry, or delete lines"
                )
            if fresh:
                self._append("".join(map(Letter.line, fresh)))
        return len(fresh)

    def all(self) -> list[Letter]:
        """Every letter, the oldest first. BridgeError for a line that is none."""
        with self._held():
            self._refresh()
            return list(self._read())

    def remove(self, ids: set[str]) -> None:
        """Take those away; the others stay, also those that came meanwhile."""
        with self._held():
            left = [one for one in self._read() if one.id not in ids]
            made = self.path.with_suffix(".new")
            with made.open("w", encoding="utf-8", errors="surrogatepass") as file:
                file.writelines(map(Letter.line, left))
                file.flush()
                os.fsync(file.fileno())
            made.replace(self.path)
            _sync(self.path.parent)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise BridgeError(f"{self.path} is held by another process") from None
        try:
            yield
        finally:
            self._lock.release()

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._ids, self._seen = set(), (0, 0)
            return
        if (found.st_ino, found.st_size) == self._seen:
            return
        self._cut_torn()
        found = self.path.stat()
        self._ids = {one.id for one in self._read()}
        self._seen = (found.st_ino, found.st_size)

    def _cut_torn(self) -> None:
        # A kill in the middle of a line: its row was not passed, it comes again.
        with self.path.open("rb+") as file:
            data = file.read()
            end = data.rfind(b"\n") + 1
            if end != len(data):
                file.truncate(end)
                os.fsync(file.fileno())

    def _append(self, text: str) -> None:
        is_new = not self.path.exists()
        with self.path.open("a", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync(self.path.parent)

    def _read(self) -> Iterator[Letter]:
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="surrogatepass") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    raw = json.loads(line)
                    cells = {str(name): str(text) for name, text in raw["cells"].items()}
                    yield Letter(
                        str(raw["id"]), int(raw["at_us"]), str(raw["place"]), str(raw["why"]),
                        cells,
                    )  # fmt: skip
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise BridgeError(
                        f"{self.path}, line {number}: no dead letter; delete it or mend it"
                    ) from None


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
