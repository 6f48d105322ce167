"""What a journal must do, as a model that checks a real one after every step. Runs on both
interpreters; on the VM: `micropython journal_model.py FIRMWARE FOLDER SEED STEPS`.
"""

import binascii
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from node.errors import JournalError
from node.store.journal import Journal

ALL = 1 << 30
EPOCH = 0xBADCAFE1


class Model:
    """Steps of one journal in `folder`; AssertionError where it does not do what it must."""

    def __init__(self, folder: str, segment_bytes: int = 256, max_segments: int = 4) -> None:
        self._limits = (segment_bytes, max_segments)
        self._folder = folder
        self._most = max_segments
        self.live: list[
            tuple[int, int, bytes]
        ] = []  # (sequence, priority, body) without a receipt
        self.given = 0  # the last sequence
        self.dropped = {0: 0, 1: 0, 2: 0}
        self.newest: bytes | None = None
        self.digest = 0
        self.journal = self._make()

    def append(self, body: bytes, priority: int) -> None:
        """One record; drops must be due, least important and oldest first."""
        full = self._files() >= self._most
        try:
            sequence = self.journal.append(body, priority)
        except JournalError:
            assert full
            assert all(p > priority for _, p, _ in self.live)
            self.dropped[priority] += 1
            self.check()
            return
        assert sequence == self.given + 1
        for p in range(3):
            count = self.journal.dropped[p] - self.dropped[p]
            assert not count or (full and p <= priority)
            for _ in range(count):
                assert min(q for _, q, _ in self.live) == p
                self.live.remove(next(record for record in self.live if record[1] == p))
            self.dropped[p] += count
        self.given = sequence
        self.newest = body
        self.live.append((sequence, priority, body))
        assert self.journal.last_body == body
        self.check()

    def trim(self, epoch: int, ranges: "list[tuple[int, int]]") -> None:
        """A receipt; all of its records up to the first one not covered are forgotten."""
        count = 0
        for sequence, _, _ in self.live:
            if epoch != EPOCH or not any(a <= sequence <= b for a, b in ranges):
                break
            count += 1
        assert self.journal.trim(epoch, ranges) == count
        del self.live[:count]
        self.check()

    def oldest(self, max_bytes: int, max_records: int) -> None:
        """A bounded look at the oldest records."""
        expected = []
        for sequence, _, body in self.live[:max_records]:
            max_bytes -= len(body)
            if max_bytes < 0:
                break
            expected.append((sequence, body))
        size = sum(len(body) for _, body in expected) + max(max_bytes, 0)
        assert self.journal.oldest(size, max_records) == expected

    def reopen(self) -> None:
        """A reboot: all that is remembered comes from flash."""
        before = self.journal.last_body
        self.journal = self._make()
        assert self.journal.last_body == before
        self.check()

    def check(self) -> None:
        """Everything that the journal says agrees with the model."""
        journal = self.journal
        assert journal.epoch == EPOCH
        assert journal.depth == len(self.live), (journal.depth, len(self.live))
        assert journal.dropped == self.dropped
        assert journal.next_sequence == self.given + 1
        assert journal.corrupt == 0
        records = journal.oldest(ALL, ALL)
        assert records == [(s, body) for s, _, body in self.live]
        assert journal.last_body in (self.newest, None) or not self.live
        assert self._files() <= self._most
        seen = (records, sorted(journal.dropped.items()), journal.depth, self._files())
        self.digest = binascii.crc32(repr(seen).encode(), self.digest)

    def _make(self) -> Journal:
        return Journal(self._folder, self._limits[0], self._limits[1], lambda: EPOCH)

    def _files(self) -> int:
        return len([name for name in os.listdir(self._folder) if len(name) == 17])


def random_steps(model: Model, seed: int, steps: int) -> None:
    """Drive `model` by a generator that both interpreters compute alike."""

    def draw(n: int) -> int:
        nonlocal seed
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        return (seed >> 8) % n

    for _ in range(steps):
        kind = draw(12)
        if kind < 8:
            size = 1 + (draw(200) if draw(6) == 0 else draw(40))
            model.append(bytes(draw(256) for _ in range(size)), max(draw(8) - 5, 0))
        elif kind == 8:
            first = 1 + draw(model.given + 3)
            ranges = [(1, first), (first + 1 + draw(2), first + draw(20) + 2)]
            model.trim(EPOCH if draw(5) else EPOCH + 1, ranges)
        elif kind == 9:
            model.oldest(draw(400), draw(12))
        else:
            model.reopen()


if __name__ == "__main__":
    played = Model(sys.argv[2])
    random_steps(played, int(sys.argv[3]), int(sys.argv[4]))
    print(played.digest, played.given, sum(played.dropped.values()))
