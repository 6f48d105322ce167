"""What a torn file is after the next opening: whole records, and nothing behind them."""

from pathlib import Path

import pytest
from node.errors import JournalError
from node.store.journal import ALARM, ROUTINE, Journal

ALL = 1 << 30


def opened(folder: Path) -> Journal:
    return Journal(str(folder), epoch_source=lambda: 77)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("left", [1, 3, 8, 20])
def test_a_record_that_was_cut_is_cut_off(tmp_path: Path, left: int) -> None:
    journal = opened(tmp_path)
    for n in range(5):
        journal.append(b"record %d" % n)
    (path,) = (p for p in tmp_path.iterdir() if len(p.name) == 17)
    whole = path.read_bytes()
    journal.append(b"this one is cut by a loss of power")
    torn = path.read_bytes()[: len(whole) + left]
    path.write_bytes(torn)
    before = names(tmp_path)
    again = opened(tmp_path)
    assert path.read_bytes() == whole
    assert names(tmp_path) == before, "and nothing else is left of the mending"
    assert [body for _, body in again.oldest(ALL, ALL)] == [b"record %d" % n for n in range(5)]
    number = again.append(b"the next")
    assert path.read_bytes().startswith(whole)
    assert opened(tmp_path).oldest(ALL, ALL)[-1] == (number, b"the next")


def test_a_file_that_holds_no_record_is_removed(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(b"kept", ROUTINE)
    before = names(tmp_path)
    journal.append(b"cut at once", ALARM)
    (path,) = (tmp_path / name for name in names(tmp_path) - before)
    path.write_bytes(path.read_bytes()[:2])
    again = opened(tmp_path)
    assert not path.exists()
    assert [body for _, body in again.oldest(ALL, ALL)] == [b"kept"]


@pytest.mark.parametrize("call", ["trim", "resend", "append"])
def test_what_flash_refuses_is_told_as_an_error_of_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal = opened(tmp_path)
    number = journal.append(b"\x82\x1a\x6b\x03\xcf\x90\x00")  # [1795411856, 0]
    if call == "resend":
        assert journal.trim(77, [(1, number)]) == 1

    def refuses(*_: object, **__: object) -> None:
        raise OSError(5, "EIO")

    monkeypatch.setattr(journal._ledger, "save", refuses)
    monkeypatch.setattr(journal._segments, "append", refuses)
    calls = {
        "trim": lambda: journal.trim(77, [(1, number)]),
        "append": lambda: journal.append(b"more"),
        "resend": lambda: journal.resend(0, 1 << 31),
    }
    with pytest.raises(JournalError) as caught:
        calls[call]()
    assert caught.value.args[0].startswith(f"cannot {call}: errno 5")


def test_a_record_has_1_to_200_bytes_and_a_priority_of_three(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert journal.append(b"b" * 200) == 1
    assert journal.append(b"b", 2) == 2
    for body, priority in ((b"", 0), (b"b" * 201, 0), (b"b", 3), (b"b", -1)):
        with pytest.raises(JournalError):
            journal.append(body, priority)
    assert journal.depth == 2


def test_a_segment_has_room_for_a_record_and_a_journal_for_a_segment(tmp_path: Path) -> None:
    for number, (size, most) in enumerate(((209, 1), (1024, 1))):
        Journal(str(tmp_path / f"good{number}"), size, most, lambda: 7)
    for size, most in ((208, 1), (1024, 0)):
        with pytest.raises(JournalError):
            Journal(str(tmp_path / "bad"), size, most, lambda: 7)


def test_numbers_end_at_the_last_that_the_wire_has(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.next_sequence = 0xFFFFFFFF
    assert journal.append(b"the last") == 0xFFFFFFFF
    with pytest.raises(JournalError, match="used up"):
        journal.append(b"one more")
