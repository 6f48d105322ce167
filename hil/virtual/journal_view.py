"""Looks into the journal of a virtual board's flash, by the firmware's own code run on CPython."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from littlefs import LittleFS, LittleFSError

from fleet.flashing import partitions
from fleet.paths import firmware_dir
from hil.virtual.board import VirtualBoard


class JournalView(NamedTuple):
    """A journal as it lies on flash; `next_sequence` 1 and epoch 0 where there is none."""

    epoch: int
    next_sequence: int
    depth: int
    dropped: int


def read_journal(board: VirtualBoard) -> JournalView:
    """Read the journal from a copy of the flash image; what is being written may be missing."""
    vfs = partitions.find(board.table, "vfs")
    with board.flash_path.open("rb") as file:
        file.seek(vfs.offset)
        image = file.read(vfs.size)
    count = vfs.size // partitions.BLOCK
    fs = LittleFS(block_size=partitions.BLOCK, block_count=count, mount=False)
    fs.context.buffer = bytearray(image)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fs.mount()
            names = fs.listdir("/journal") if "journal" in fs.listdir("/") else []
            for name in names:
                with fs.open(f"/journal/{name}", "rb") as source:
                    (Path(folder) / name).write_bytes(source.read())
        except LittleFSError:  # caught in the middle of a write
            names = []
        if not names:
            return JournalView(0, 1, 0, 0)
        journal = _journal_class()(folder, epoch_source=lambda: 1)
        dropped = sum(journal.dropped.values())
        return JournalView(journal.epoch, journal.next_sequence, journal.depth, dropped)


def _journal_class() -> Callable[..., Any]:
    # The firmware is no package of the PC's: it is put on the path for this import alone, with
    # the one MicroPython module that it asks for.
    if "micropython" not in sys.modules:
        stand_in = ModuleType("micropython")
        stand_in.const = lambda value: value  # type: ignore[attr-defined]
        sys.modules["micropython"] = stand_in
    folder = str(firmware_dir())
    sys.path.append(folder)
    try:
        from node.store.journal import Journal
    finally:
        sys.path.remove(folder)
    return Journal  # type: ignore[no-any-return]
