"""A node's journal on a PC: its files, as they lay on flash, read by the firmware's own code."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from fleet.paths import firmware_dir

_ALL = 1 << 30  # bytes and records: whatever a journal can hold


class JournalContent(NamedTuple):
    """`records` are (sequence, body), ascending, those that wait for a receipt.

    `next_sequence` 1 and epoch 0 where there is no journal.
    """

    epoch: int
    next_sequence: int
    depth: int
    dropped: int
    records: list[tuple[int, bytes]]


def read(files: Mapping[str, bytes]) -> JournalContent:
    """The journal that these files of `/journal`, by name, are; damaged records are left out."""
    if not files:
        return JournalContent(0, 1, 0, 0, [])
    with tempfile.TemporaryDirectory(prefix="kapok-journal-") as folder:
        for name, data in files.items():
            (Path(folder) / Path(name).name).write_bytes(data)
        journal = _journal_class()(folder, epoch_source=lambda: 1)
        depth, dropped = journal.depth, sum(journal.dropped.values())
        records = journal.oldest(_ALL, _ALL)
        return JournalContent(journal.epoch, journal.next_sequence, depth, dropped, records)


def _journal_class() -> Callable[..., Any]:
    # The firmware is no package of the PC's: it is put on the path for this import alone, with
    # the one MicroPython module that it asks for.
    if "micropython" not in sys.modules:
        stand_in = ModuleType("micropython")
        stand_in.const = lambda value: value  # type: ignore[attr-defined]
        sys.modules["micropython"] = stand_in
    if not hasattr(os, "ilistdir"):
        os.ilistdir = lambda path: ((name,) for name in os.listdir(path))  # type: ignore[attr-defined]
    folder = str(firmware_dir())
    sys.path.append(folder)
    try:
        from node.store.journal import Journal
    finally:
        sys.path.remove(folder)
    return Journal  # type: ignore[no-any-return]
