"""The records that wait for their receipt: append-only on flash, in order, each numbered once.

What a power cut at any flash operation costs is at most the record that was being written.
"""

import os

from micropython import const

from node.errors import JournalError
from node.store import segment
from node.store.ledger import Ledger, draw
from node.store.segments import PRIORITIES, Segments, epoch_of, names
from node.wire import uplink

ROUTINE = const(0)
EVENT = const(1)
ALARM = const(2)

_ENOSPC = const(28)
_MOST = const(0xFFFFFFFF)
_TRIES = const(4)  # files dropped for one record where a full flash says no


class Journal:
    """A bounded log in the folder `path`, created with a random epoch when it is not there.

    `segment_bytes` is the size at which a file of records is closed and the next one begun, and
    `max_segments` bounds their number: when it is reached, or the flash is full, the least
    important records go first, oldest first, a file at a time. Of files whose records all have
    their receipts the newest `archive` stay until room is needed, for `resend`.
    `epoch_source()` gives 32 random bits. Every method raises JournalError and nothing else.
    """

    def __init__(
        self,
        path: str = "/journal",
        segment_bytes=1024,
        max_segments=128,
        epoch_source=None,
        archive=0,
    ) -> None:
        if segment_bytes < segment.FRAME + segment.MAX_BODY or max_segments < 1:
            raise JournalError("a segment takes 209 bytes or more, a journal 1 segment or more")
        self._segment_bytes = segment_bytes
        self._max_segments = max_segments
        self._archive = archive
        try:
            self._open(path, epoch_source)
        except OSError as e:
            raise _refused("cannot open %s" % path, e)

    @property
    def epoch(self) -> int:
        """1..2^32-1, drawn when the journal was created."""
        return self._ledger.epoch

    @property
    def depth(self) -> int:
        """Records without a receipt."""
        return self._ledger.depth

    @property
    def dropped(self) -> "dict[int, int]":
        """{priority: records given up for want of room since the epoch began}."""
        return dict(enumerate(self._ledger.dropped))

    @property
    def corrupt(self) -> int:
        """Records without a receipt that were found damaged since the epoch began."""
        return self._ledger.corrupt

    @property
    def last_body(self) -> "bytes | None":
        """The body of the newest record on flash, with or without a receipt."""
        return self._segments.newest_body

    def append(self, body: bytes, priority: int = ROUTINE) -> int:
        """Store `body` (1..200 bytes) and return its sequence; it is durable then.

        JournalError when only more important records could make room (then it counts as dropped).
        """
        if not 0 < len(body) <= segment.MAX_BODY or priority not in range(PRIORITIES):
            raise JournalError("a record has 1..200 bytes and a priority of 0..2")
        sequence = self.next_sequence
        if sequence > _MOST:
            raise JournalError("every sequence of this epoch is used up")
        record = segment.frame(sequence, body, segment.seed(self.epoch, priority))
        try:
            self._write(priority, sequence, record)
        except OSError as e:
            raise _refused("cannot append", e)
        self.next_sequence = sequence + 1
        self._ledger.depth += 1
        self._segments.newest_body = bytes(body)
        return sequence

    def oldest(self, max_bytes: int, max_records: int) -> "list[tuple[int, bytes]]":
        """[(sequence, body), ...] of the oldest records without a receipt, ascending.

        At most `max_records`, and at most `max_bytes` of bodies.
        """
        found = []
        for sequence, body in self._waiting():
            max_bytes -= len(body)
            if max_bytes < 0 or len(found) >= max_records:
                return found
            found.append((sequence, body))
        # Fewer than were counted: the others are damaged. The next commit writes this down.
        self._ledger.corrupt += max(self._ledger.depth - len(found), 0)
        self._ledger.depth = len(found)
        return found

    def trim(self, epoch: int, ranges: "list[tuple[int, int]]") -> int:
        """Forget the oldest records as far as the receipt's inclusive `ranges` cover them.

        Returns how many; none for another epoch's receipt.
        """
        ledger = self._ledger
        count = 0
        base = ledger.base
        if epoch == ledger.epoch:
            for sequence, _ in self._waiting():
                if not any(first <= sequence <= last for first, last in ranges):
                    break
                base = sequence
                count += 1
        if count:
            if ledger.skip <= base + 1 <= ledger.until:
                base = ledger.until
            if base >= ledger.until:
                ledger.skip = ledger.until = 0
            ledger.base = base
            ledger.depth = max(ledger.depth - count, 0)
            try:
                self._commit(self._tidy)
            except OSError as e:
                raise _refused("cannot trim", e)
        return count

    def resend(self, since: int, until: int) -> int:
        """Let the archived records of that time, in s since 1970, both included, wait for a
        receipt once more: under their own numbers, so that the fleet stores none twice. How many.

        Those of an earlier resend that still wait go on waiting.
        """
        ledger = self._ledger
        base, before = ledger.base, ledger.depth
        first = last = 0
        for sequence, body in self._segments.walk(0):
            if sequence > base and not ledger.skip <= sequence <= ledger.until:
                continue
            try:
                time = uplink.body_time(body)
            except uplink.ReportError:
                continue
            if since <= time <= until:
                first = first or sequence
                last = sequence
        if not first:
            return 0
        if ledger.until:  # two ranges: all between them, and some in vain
            last = max(last, ledger.skip - 1)
        end = ledger.until or base
        ledger.base = min(first - 1, base)
        ledger.skip, ledger.until = last + 1, end
        ledger.depth = len([1 for _ in self._waiting()])
        try:
            self._save()
        except OSError as e:
            raise _refused("cannot resend", e)
        return ledger.depth - before

    def _waiting(self):
        # (sequence, body) of each record without a receipt, ascending.
        ledger = self._ledger
        for found in self._segments.walk(ledger.base):
            if not ledger.skip <= found[0] <= ledger.until:
                yield found

    def _open(self, path: str, epoch_source) -> None:
        try:
            os.stat(path)
        except OSError:
            os.mkdir(path)
        self._ledger = ledger = Ledger(path)
        known = ledger.load()
        if not known:
            ledger.epoch = epoch_of(names(path)) or draw(epoch_source)
        self._segments = segments = Segments(path, ledger.epoch)
        first = segments.find(names(path))
        self._delete_victim()
        lost = segments.load()
        newest = max(first - 1, *segments.last)
        if not known:
            # Numbering may have gone on in files that were dropped, at most a file's worth.
            newest += first and self._segment_bytes
            ledger.depth = len([1 for _ in segments.walk(ledger.base)])
        else:
            ledger.depth += max(newest + 1 - ledger.next, 0)
        self.next_sequence = max(newest + 1, ledger.next)
        if lost:
            # Their numbers are skipped, and one record at least will be missed by `oldest`.
            self.next_sequence += lost
            ledger.depth += 1
        try:
            if lost or not known:
                self._save()
            segments.mend()
        except OSError:
            # On a full flash go on with what is known: the next opening finds the same again.
            if not known and not first:
                raise

    def _write(self, priority: int, sequence: int, record: bytes) -> None:
        segments = self._segments
        for _ in range(_TRIES):
            row = segments.firsts[priority]
            if not row or segments.size[priority] + len(record) > self._segment_bytes:
                while len(segments) >= self._max_segments:
                    self._make_room(priority)
                row = (sequence,)
            try:
                segments.append(priority, row[-1], record, sequence)
                return
            except OSError as e:
                segments.load()
                if segments.last[priority] == sequence:
                    return
                if e.errno != _ENOSPC:
                    raise
            self._make_room(priority)
        raise OSError(_ENOSPC)

    def _make_room(self, priority: int) -> None:
        """Delete a file: a receipted one, or the oldest of the least important stream."""
        old = self._old()
        if not old and self._ledger.until:  # what is being sent again had its receipts
            ledger = self._ledger
            ledger.base, ledger.skip, ledger.until = ledger.until, 0, 0
            ledger.depth = len([1 for _ in self._waiting()])
            old = self._old()
        if old:
            self._remove(old[0])
            return
        ledger, segments = self._ledger, self._segments
        for victim in range(priority + 1):
            if segments.firsts[victim]:
                break
        else:
            ledger.dropped[priority] += 1
            self._save()
            raise JournalError("no room, and nothing as unimportant to drop", _ENOSPC)
        first = segments.firsts[victim][0]
        count = segments.count(victim, first, ledger.base)
        ledger.dropped[victim] += count
        ledger.depth = max(ledger.depth - count, 0)
        ledger.victim = (victim, first)
        if segments.newest() == victim and len(segments.firsts[victim]) == 1:
            # The numbering goes on from this file: never delete it before the ledger is written.
            self._save()
            self._delete_victim()
        else:
            self._commit(self._delete_victim)
        if not segments.firsts[victim]:
            segments.load()  # the newest record may be another one now

    def _commit(self, delete) -> None:
        """Write the ledger, then `delete` files; the other way round only where a full flash
        leaves no choice. A cut between the two then costs a wrong depth, until `oldest`."""
        try:
            self._save()
        except OSError as e:
            if e.errno != _ENOSPC:
                raise
            delete()
            self._save()
        else:
            delete()

    def _save(self) -> None:
        self._ledger.next = min(self.next_sequence, _MOST)
        self._ledger.save()

    def _delete_victim(self) -> None:
        victim = self._ledger.victim
        if victim and victim[1] in self._segments.firsts[victim[0]]:
            self._segments.remove(*victim)

    def _old(self) -> "list[tuple[int, int]]":
        """(first sequence, priority) of each receipted file, oldest first; never of the one with
        the newest record, from which the numbering goes on."""
        segments, limit = self._segments, self._ledger.base + 1
        newest = segments.newest()
        old = []
        for priority in range(PRIORITIES):
            row = segments.firsts[priority]
            for at in range(len(row)):
                if at + 1 < len(row):
                    done = row[at + 1] <= limit
                else:
                    done = priority != newest and segments.last[priority] < limit
                if done:
                    old.append((row[at], priority))
        old.sort()
        return old

    def _tidy(self) -> None:
        old = self._old()
        for n in range(len(old) - self._archive):
            self._remove(old[n])

    def _remove(self, file: "tuple[int, int]") -> None:
        first, priority = file
        segments = self._segments
        segments.remove(priority, first)
        if not segments.firsts[priority]:
            segments.last[priority] = 0


def _refused(what: str, e: OSError) -> JournalError:
    return JournalError("%s: errno %s" % (what, e.errno), e.errno or 0)
