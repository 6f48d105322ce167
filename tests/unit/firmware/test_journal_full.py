"""A full flash: the journal drops the least important records, or says that it cannot."""

import builtins
import errno
from pathlib import Path
from typing import Any

import pytest
from node.errors import JournalError
from node.store.journal import ALARM, EVENT, ROUTINE, Journal

ALL = 1 << 30


def opened(folder: Path, **limits: int) -> Journal:
    return Journal(str(folder), epoch_source=lambda: 77, **limits)


def segments(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if len(path.name) == 17]


class Flash:
    """Lets so many bytes be written, then says ENOSPC like littlefs: nothing of it is done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._open = builtins.open
        monkeypatch.setattr(builtins, "open", self)

    def __call__(self, path: Any, mode: str = "r", **more: Any) -> Any:
        file = self._open(path, mode, **more)
        if "w" in mode or "a" in mode:
            real = file.write

            def write(data: bytes) -> int:
                used = sum(p.stat().st_size for p in segments(Path(path).parent))
                if used + len(data) > self.room:
                    raise OSError(errno.ENOSPC, "no space")
                return int(real(data))

            return _Writer(file, write)
        return file


class _Writer:
    def __init__(self, file: Any, write: Any) -> None:
        self._file, self.write = file, write

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def test_a_full_flash_drops_the_least_important_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    Flash(monkeypatch, 6000)
    alarms = []
    for n in range(400):
        sequence = journal.append(b"body" * 10, ALARM if n % 40 == 0 else ROUTINE)
        if n % 40 == 0:
            alarms.append(sequence)
    kept = [s for s, _ in journal.oldest(ALL, ALL)]
    assert set(alarms) <= set(kept)
    assert journal.dropped == {ROUTINE: 400 - len(kept), EVENT: 0, ALARM: 0}
    assert 60 < len(kept) == journal.depth == opened(tmp_path).depth


def test_a_flash_full_of_other_things_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    flash = Flash(monkeypatch, 0)
    with pytest.raises(JournalError, match="errno 28") as caught:
        journal.append(b"body")
    assert caught.value.cause == errno.ENOSPC
    flash.room = 10_000
    assert journal.append(b"body") == 1


def test_less_important_records_never_displace_more_important_ones(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=256, max_segments=2)
    for _ in range(9):
        journal.append(b"alarm" * 10, ALARM)
    before = journal.oldest(ALL, ALL)
    if len(segments(tmp_path)) == 2:
        with pytest.raises(JournalError, match="nothing as unimportant"):
            journal.append(b"routine", ROUTINE)
    assert journal.oldest(ALL, ALL) == before
    assert opened(tmp_path).dropped[ROUTINE] == 1
