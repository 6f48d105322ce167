"""The segment files of the journal: a stream for each priority, each a row of append-only files.

A stream of its own for each priority lets the journal drop the least important records by deleting
whole files: nothing is rewritten, and it works on a flash that is full. A file's name holds
priority, epoch and first sequence, so that one look at the directory tells which files hold what;
only the newest file of a stream is read when the journal opens.
"""

import os

from micropython import const

from node.store import segment

PRIORITIES = const(3)
_NAME = "%d%08x%08x"
_NAME_LENGTH = const(17)
_UNREADABLE = const(512)  # records that a file may hold which cannot even be read


class Segments:
    """`firsts[p]` are the first sequences of stream p's files, ascending; `last[p]` is the newest
    sequence in them or 0, and `size[p]` the bytes of the newest file."""

    def __init__(self, path: str, epoch: int) -> None:
        self._path = path
        self._epoch = epoch
        self.firsts: "list[list[int]]" = [[] for _ in range(PRIORITIES)]
        self.last = [0] * PRIORITIES
        self.size = [0] * PRIORITIES
        self.newest_body: "bytes | None" = None
        self._torn: "list[tuple[int, int, int]]" = []  # priority, first, bytes to keep

    def _name(self, priority: int, first: int) -> str:
        return self._path + "/" + _NAME % (priority, self._epoch, first)

    def __len__(self) -> int:
        return sum([len(row) for row in self.firsts])

    def find(self, names) -> int:
        """Take the files of this epoch among the names; no other file is ours to touch.

        Returns the highest first sequence, 0 without files: all below it have been given.
        """
        for name in names:
            priority, first = _parse(name)
            if first and _NAME % (priority, self._epoch, first) == name:
                self.firsts[priority].append(first)
        for row in self.firsts:
            row.sort()
        return max([row[-1] for row in self.firsts if row] + [0])

    def newest(self) -> int:
        """The stream that holds the newest record of all."""
        return self.last.index(max(self.last))

    def read(self, priority: int, first: int) -> "bytes | None":
        """The bytes of a file; None when the flash does not give them."""
        try:
            with open(self._name(priority, first), "rb") as file:
                return file.read()
        except OSError:
            return None

    def scan(self, data: bytes, priority: int, first: int):
        """`segment.scan` of a file's bytes."""
        return segment.scan(data, first, segment.seed(self._epoch, priority))

    def append(self, priority: int, first: int, record: bytes, sequence: int) -> None:
        """Add a record to the file, which begins here if `first` is `sequence`. Durable."""
        # littlefs commits at close: until then the file is what it was.
        with open(self._name(priority, first), "ab") as file:
            file.write(record)
        if first == sequence:
            self.firsts[priority].append(first)
            self.size[priority] = 0
        self.size[priority] += len(record)
        self.last[priority] = sequence

    def remove(self, priority: int, first: int) -> None:
        """Delete a file. OSError when the flash refuses."""
        os.remove(self._name(priority, first))
        self.firsts[priority].remove(first)

    def records(self, priority: int, base: int):
        """Yield (sequence, body) of one stream in order, from behind `base`."""
        row = self.firsts[priority]
        at = 0
        while at + 1 < len(row) and row[at + 1] <= base + 1:
            at += 1
        while at < len(row):
            data = self.read(priority, row[at]) or b""
            for sequence, begin, end in self.scan(data, priority, row[at]):
                if sequence > base:
                    yield sequence, data[begin:end]
            at += 1

    def walk(self, base: int):
        """Yield (sequence, body) of all streams, ascending, from behind `base`."""
        heads: list = []
        for priority in range(PRIORITIES):
            _pull(heads, self.records(priority, base))
        while heads:
            head = min(heads)
            heads.remove(head)
            yield head[0], head[1]
            _pull(heads, head[2])

    def count(self, priority: int, first: int, base: int) -> int:
        """How many records behind `base` a file holds."""
        data = self.read(priority, first) or b""
        return len([1 for s, _, _ in self.scan(data, priority, first) if s > base])

    def load(self) -> int:
        """Read the newest file of each stream; how many records may be lost behind them."""
        lost = newest = 0
        self.newest_body = None
        self._torn.clear()
        for priority in range(PRIORITIES):
            body, missing = self._tail(priority)
            lost += missing
            if self.last[priority] > newest:
                newest, self.newest_body = self.last[priority], body
        return lost

    def _tail(self, priority: int) -> "tuple[bytes | None, int]":
        """Read the newest file: the body of its newest record or None, and how many records may
        be lost behind that. Sets `last` and `size`; `mend` puts right what was torn."""
        row = self.firsts[priority]
        lost = 0
        while row:
            data = self.read(priority, row[-1])
            if data is None:
                lost += _UNREADABLE
                row.pop()
                continue
            last = size = 0
            body = None
            for sequence, begin, end in self.scan(data, priority, row[-1]):
                if sequence:
                    last, size, body = sequence, end + segment.CRC, data[begin:end]
            if size < len(data):
                lost += (len(data) - size) // (segment.FRAME + 1) + 1
            if size < len(data) or not size:
                self._torn.append((priority, row[-1], size))
            if last:
                self.last[priority] = last
                self.size[priority] = size
                return body, lost
            row.pop()
        self.last[priority] = self.size[priority] = 0
        return None, lost

    def mend(self) -> None:
        """Cut torn files off behind their newest record, and delete those that hold none."""
        while self._torn:
            priority, first, size = self._torn.pop()
            name = self._name(priority, first)
            data = self.read(priority, first)
            if not size:
                os.remove(name)
            elif data is not None:
                with open(self._path + "/mended", "wb") as file:
                    file.write(data[:size])
                os.rename(self._path + "/mended", name)


def names(path: str):
    """Yield the names in a folder: a list of some hundred would fill the heap."""
    for entry in os.ilistdir(path):
        yield entry[0]


def epoch_of(names) -> int:
    """The epoch that the names of a journal's files tell, or 0."""
    for name in names:
        priority, first = _parse(name)
        epoch = _hex(name[1:9])
        if first and epoch and _NAME % (priority, epoch, first) == name:
            return epoch
    return 0


def _parse(name: str) -> "tuple[int, int]":
    """(priority, first) that `name` tells if it is a segment's; it is if it formats back."""
    if len(name) == _NAME_LENGTH and name[:1] in "012":
        return int(name[:1]), _hex(name[9:])
    return 0, 0


def _hex(text: str) -> int:
    try:
        return max(int(text, 16), 0)
    except ValueError:
        return 0


def _pull(heads: list, records) -> None:
    for sequence, body in records:
        heads.append((sequence, body, records))
        return
