"""A journal that came by file is stored as a report would be, and once."""

from pathlib import Path

import ingest_rig as rig
import pytest

from fleet.flashing import journal
from fleet.flashing.journal_export import JournalFileError, load, save
from fleet.uplink import imports
from fleet.uplink.ingest import Ingest
from fleet.wire import nodeid, quantity, report


def files(folder: Path, count: int, trimmed: int = 0) -> tuple[dict[str, bytes], int]:
    """The files of a journal with `count` records, the first `trimmed` of them receipted."""
    made = journal._journal_class()(str(folder / "j"), epoch_source=lambda: 77)
    for n in range(1, count + 1):
        body = report.encode_body(rig.NOW, report.GOOD, [(quantity.LEVEL, rig.value_of(n))])
        assert made.append(body) == n
    if trimmed:
        made.trim(77, [(1, trimmed)])
    return {path.name: path.read_bytes() for path in (folder / "j").iterdir()}, 77


def test_what_was_exported_is_taken_in_once(tmp_path: Path) -> None:
    database = rig.open_database(tmp_path)
    found, epoch = files(tmp_path, 130, trimmed=20)
    path = save(tmp_path / "out", nodeid.to_mac(rig.NODE), found)
    exported = load(path)
    assert exported.node_id == rig.NODE
    content = journal.read(exported.files)
    assert (content.epoch, content.depth) == (epoch, 110)
    first = imports.take_in(Ingest(database), rig.NODE, content)
    assert (first.records, first.stored, first.refused) == (110, 110, 0)
    again = imports.take_in(Ingest(database), rig.NODE, content)
    assert (again.stored, again.repeated) == (0, 110)
    assert rig.stored(tmp_path) == rig.once(rig.NODE, range(21, 131))


def test_what_the_node_reported_itself_meanwhile_is_not_stored_twice(tmp_path: Path) -> None:
    database = rig.open_database(tmp_path)
    found, epoch = files(tmp_path, 30)
    Ingest(database).process([rig.message(rig.report_of(range(1, 11), epoch))])
    imports.take_in(Ingest(database), rig.NODE, journal.read(found))
    assert rig.stored(tmp_path) == rig.once(rig.NODE, range(1, 31))


def test_attack_a_file_of_an_unknown_node_stores_nothing(tmp_path: Path) -> None:
    database = rig.open_database(tmp_path)
    found, _ = files(tmp_path, 5)
    result = imports.take_in(Ingest(database), "0000000000", journal.read(found))
    assert (result.stored, result.refused) == (0, 5)
    assert rig.stored(tmp_path) == []


def test_attack_a_changed_file_loses_the_changed_record_and_gains_none(tmp_path: Path) -> None:
    found, _ = files(tmp_path, 5)
    name = next(name for name in found if len(name) == 17)
    data = bytearray(found[name])
    data[20] ^= 1
    content = journal.read({**found, name: bytes(data)})
    assert len(content.records) < 5


def test_what_came_by_file_is_trusted_less(tmp_path: Path) -> None:
    database = rig.open_database(tmp_path)
    found, _ = files(tmp_path, 1)
    imports.take_in(Ingest(database), rig.NODE, journal.read(found))
    with database.read() as session:
        row = session.connection().exec_driver_sql("SELECT trust FROM readings").fetchone()
    assert row == (0,)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.kj"
    path.write_bytes(b"not a tar")
    with pytest.raises(JournalFileError, match="not a journal"):
        load(path)
