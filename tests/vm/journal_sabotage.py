"""Guards of the journal, each switched off by name: what the power-cut campaign must then notice."""

import os
import struct


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


def _ledger_in_place():
    from node.store import ledger

    class Os:
        rename = staticmethod(lambda old, new: _copy(old, new))

    ledger.os = Os


def _copy(old, new):
    with open(old, "rb") as file:
        data = file.read()
    with open(new, "wb") as file:
        file.write(data[:20])
        file.flush()
        file.write(data[20:])


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
    from node.store.ledger import Ledger

    load = Ledger.load

    def forgetful(self):
        known = load(self)
        self.next = 1
        self.depth = 0
        return known

    def sweep(self):
        for priority, row in enumerate(self._segments.firsts):
            for first in list(row):
                if not self._segments.count(priority, first, self._ledger.base):
                    self._segments.remove(priority, first)
        return 0

    Ledger.load = forgetful
    Journal._sweep = sweep
