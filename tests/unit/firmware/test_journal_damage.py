"""Damaged files and alien files: the journal goes on, tells, and invents nothing."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import JournalError
from node.store import segment
from node.store.journal import ALARM, EVENT, ROUTINE, Journal

ALL = 1 << 30


def opened(folder: Path | str, epoch: int = 77, **limits: int) -> Journal:
    return Journal(str(folder), epoch_source=lambda: epoch, **limits)


def filled(folder: Path | str, count: int, **limits: int) -> dict[int, bytes]:
    """Bodies by sequence of a journal with records of every priority."""
    journal = opened(folder, **limits)
    bodies = {}
    for n in range(1, count + 1):
        body = b"record %d" % n
        bodies[journal.append(body, ALARM if n % 11 == 0 else EVENT if n % 5 == 0 else 0)] = body
    return bodies


def segments(folder: Path | str) -> list[Path]:
    return sorted(p for p in Path(folder).iterdir() if len(p.name) == 17)


def drain(journal: Journal) -> None:
    """Deliver as a node does; it must come to an end."""
    for _ in range(200):
        if not journal.depth:
            return
        for sequence, _ in journal.oldest(900, 48):
            journal.trim(journal.epoch, [(sequence, sequence)])
    raise AssertionError("depth never comes to 0")


DAMAGE = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 5000), st.binary(min_size=1, max_size=40)),
    min_size=1,
    max_size=6,
)


@given(count=st.integers(1, 90), trimmed=st.integers(0, 60), damage=DAMAGE, torn=st.booleans())
@settings(max_examples=60, deadline=None)
def test_damage_never_invents_a_record_nor_repeats_a_sequence(
    count: int, trimmed: int, damage: list[tuple[int, int, bytes]], torn: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bodies = filled(folder, count, segment_bytes=256)
        journal = opened(folder, segment_bytes=256)
        if trimmed:
            journal.trim(77, [(1, trimmed)])
        files = sorted(Path(folder).iterdir())  # the ledger too
        for which, at, junk in damage:
            path = files[which % len(files)]
            data = bytearray(path.read_bytes())
            start = at if torn else at % len(data)
            data[start : start + len(junk)] = junk[: None if torn else len(data) - start]
            path.write_bytes(data)
        journal = opened(folder, 78, segment_bytes=256)
        found = journal.oldest(ALL, ALL)
        assert journal.epoch == 77
        assert all(bodies[sequence] == body for sequence, body in found)
        assert [s for s, _ in found] == sorted({s for s, _ in found})
        assert journal.depth == len(found)
        fresh = journal.append(b"fresh")
        assert fresh > count
        assert journal.oldest(ALL, ALL)[-1] == (fresh, b"fresh")
        again = opened(folder, 78, segment_bytes=256)
        assert again.oldest(ALL, ALL)[-1] == (fresh, b"fresh")
        assert again.append(b"more") > fresh
        drain(again)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_a_damaged_record_is_told_and_its_neighbours_live(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for n in range(5):
        journal.append(b"body %d" % n)
    flip(segments(tmp_path)[0], 2 * (segment.FRAME + 6) + 7)
    journal = opened(tmp_path)
    assert [s for s, _ in journal.oldest(ALL, ALL)] == [1, 2, 4, 5]
    assert (journal.depth, journal.corrupt) == (4, 1)
    journal.trim(77, [(1, 2)])
    journal = opened(tmp_path)
    drain(journal)
    assert journal.corrupt == 1
    assert opened(tmp_path).corrupt == 1


def test_without_the_crc_a_damaged_record_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: what the CRC is there for."""
    monkeypatch.setattr(segment, "checksum", lambda data, start: 0)
    journal = opened(tmp_path)
    journal.append(b"litres 1234")
    flip(segments(tmp_path)[0], 5 + 7)
    assert opened(tmp_path).oldest(ALL, ALL) == [(1, b"litres 5234")]


def test_a_damaged_newest_record_does_not_give_its_number_away(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert [journal.append(b"record") for _ in range(4)] == [1, 2, 3, 4]
    flip(segments(tmp_path)[0], -1)
    journal = opened(tmp_path)
    assert journal.append(b"next") > 4
    assert opened(tmp_path).next_sequence == journal.next_sequence
    drain(journal)
    assert journal.corrupt == 1


def test_without_skipping_a_damaged_newest_record_gives_its_number_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sabotage: numbering goes on behind the newest record that can be read."""
    from node.store.segments import Segments

    load = Segments.load

    def careless(self: Segments) -> int:
        load(self)
        return 0

    monkeypatch.setattr(Segments, "load", careless)
    journal = opened(tmp_path)
    assert [journal.append(b"record") for _ in range(4)] == [1, 2, 3, 4]
    flip(segments(tmp_path)[0], -1)
    assert opened(tmp_path).append(b"next") == 4


def test_a_lost_ledger_keeps_epoch_records_and_numbering(tmp_path: Path) -> None:
    bodies = filled(tmp_path, 30)
    (tmp_path / "ledger").unlink()
    journal = opened(tmp_path, 78)
    assert (journal.epoch, journal.depth) == (77, 30)
    assert dict(journal.oldest(ALL, ALL)) == bodies
    assert journal.append(b"next") > 30


def test_alien_files_are_left_alone(tmp_path: Path) -> None:
    opened(tmp_path)
    names = ["notes.txt", "0000000780000000g", "30000004d00000001", "00000004d00000000",
             "-0000004d00000001", "00000004D00000001", "0000000990000ffff"]  # fmt: skip
    tmp_path.joinpath("folder").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"not ours")
    assert opened(tmp_path, 77, max_segments=1).append(b"x") == 1
    journal = opened(tmp_path, 77, max_segments=1)
    for _ in range(100):
        journal.append(b"y" * 100)
    assert all((tmp_path / name).read_bytes() == b"not ours" for name in names)
    assert opened(tmp_path).next_sequence == 102


@pytest.mark.parametrize(("body", "priority"), [(b"", 0), (b"x" * 201, 0), (b"x", 3), (b"x", -1)])
def test_a_record_out_of_bounds_is_refused(tmp_path: Path, body: bytes, priority: int) -> None:
    journal = opened(tmp_path)
    with pytest.raises(JournalError, match=r"1\.\.200 bytes"):
        journal.append(body, priority)
    assert journal.append(b"x" * 200, 2) == 1


def test_a_path_that_cannot_be_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="cannot open"):
        opened(tmp_path / "file")
    with pytest.raises(JournalError, match="zeros"):
        opened(tmp_path / "new", 0)


def test_the_epoch_is_drawn_once(tmp_path: Path) -> None:
    draws = iter([0, 5, 6])
    journal = Journal(str(tmp_path / "a"), epoch_source=lambda: next(draws))
    assert journal.epoch == 5
    assert journal.last_body is None
    assert Journal(str(tmp_path / "a"), epoch_source=lambda: next(draws)).epoch == 5
    assert 0 < Journal(str(tmp_path / "b")).epoch < 1 << 32


def test_all_trimmed_and_reopened_the_numbering_goes_on(tmp_path: Path) -> None:
    bodies = filled(tmp_path, 20)
    journal = opened(tmp_path)
    assert journal.trim(76, [(1, 20)]) == 0
    assert journal.trim(77, [(1, 20)]) == 20
    assert journal.trim(77, [(1, 20)]) == 0
    journal = opened(tmp_path)
    assert (journal.depth, journal.next_sequence) == (0, 21)
    assert journal.last_body == bodies[20]
    assert len(os.listdir(tmp_path)) == 2  # the ledger, and the newest record's file


def test_opening_reads_the_newest_file_of_each_priority_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node.store.segments import Segments

    filled(tmp_path, 400, segment_bytes=256)
    read = Segments.read
    seen = []

    def spy(self: Segments, priority: int, first: int) -> bytes | None:
        seen.append(priority)
        data: bytes | None = read(self, priority, first)
        return data

    monkeypatch.setattr(Segments, "read", spy)
    assert opened(tmp_path, segment_bytes=256).depth == 400
    assert seen == [ROUTINE, EVENT, ALARM]
    assert len(segments(tmp_path)) > 20
