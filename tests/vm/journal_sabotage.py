"""Guards of the journal, each switched off by name: the power-cut campaign must notice it."""

import os


def apply(name):
    """Switch one guard off; "none" leaves the journal as it is."""
    if name != "none":
        globals()["_" + name]()


def _trim_deletes_before_it_persists():
    from node.store.journal import Journal

    def commit(self, delete):
        delete()
        self._save()

    Journal._commit = commit


def copy_in_place(old, new):
    """`os.rename`, were it to write the file again, half by half."""
    with open(old, "rb") as file:
        data = file.read()
    with open(new, "wb") as file:
        file.write(data[:20])
        file.flush()
        file.write(data[20:])


def _ledger_in_place():
    from node.store import ledger

    class Os:
        rename = staticmethod(copy_in_place)

    ledger.os = Os


def _append_not_closed():
    from node.store.segments import Segments

    keep = []

    def append(self, priority, first, record, sequence):
        keep[:] = [open(self._name(priority, first), "ab")]  # noqa: SIM115
        keep[0].write(record)
        if first == sequence:
            self.firsts[priority].append(first)
            self.size[priority] = 0
        self.size[priority] += len(record)
        self.last[priority] = sequence

    Segments.append = append


def _append_rewrites_in_place():
    from node.store.segments import Segments

    real = Segments.append

    def append(self, priority, first, record, sequence):
        old = self.read(priority, first) or b""
        name = self._name(priority, first)
        if first != sequence:
            os.remove(name)
            with open(name, "wb") as file:
                file.write(old)
        real(self, priority, first, record, sequence)

    Segments.append = append


def _drop_without_a_note():
    from node.store.journal import Journal

    real = Journal._save

    def save(self):
        victim, self._ledger.victim = self._ledger.victim, None
        real(self)
        self._ledger.victim = victim

    Journal._save = save


def _numbering_from_records_only():
    from node.store.journal import Journal

    real = Journal._open

    def forgetful(self, path, source):
        real(self, path, source)
        self.next_sequence = max(self._segments.last) + 1

    def sweep(self):  # the newest record's file too
        segments = self._segments
        for priority, row in enumerate(segments.firsts):
            for first in list(row):
                if not segments.count(priority, first, self._ledger.base):
                    segments.remove(priority, first)

    Journal._open = forgetful
    Journal._tidy = sweep
