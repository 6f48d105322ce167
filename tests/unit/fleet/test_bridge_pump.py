"""From a source into telemetry: once, whatever dies when; what is refused waits in a file."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import bridge_rig as rig
import migration_rig
import pytest
from ledger_rig import Stop, dies_at
from sqlalchemy import delete, update

from fleet.bridge import cursors, pump
from fleet.bridge.deadletters import DeadLetters, letter
from fleet.bridge.errors import BridgeError
from fleet.bridge.pump import Pump
from fleet.bridge.rows import Batch, Row
from fleet.bridge.tables import BridgeSource
from fleet.db.base import Database
from fleet.registry.tables import Terminal
from fleet.telemetry.tables import Reading

SOURCE = 'kind = "folder"\npath = "drop"\n'


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(rig.open_fleet(tmp_path)) as opened:
        with opened.begin() as session:
            cursors.open_source(session, "scada", "folder")
        yield opened


def cells(meter: int, minute: int, volume: str = "1.5") -> dict[str, str]:
    return {"meter": f"T{meter}", "at": rig.at(minute), "volume": volume}


def make(database: Database, folder: Path, source: rig.Listed) -> Pump:
    rules = rig.write(folder, SOURCE).rules
    return Pump(database, "scada", rules, source, DeadLetters(folder / "bridge/scada.dead.jsonl"))


def test_rows_are_stored_once_however_often_they_come(database: Database, tmp_path: Path) -> None:
    rows = [cells(n % 5 + 1, n) for n in range(25)]
    first = make(database, tmp_path, rig.Listed(rows)).round()
    assert first == cursors.Counts(25, 25)
    with database.begin() as session:
        cursors.rewind(session, "scada")
    second = make(database, tmp_path, rig.Listed(rows)).round()
    assert second == cursors.Counts(25, 0, 25)
    assert len(rig.stored(database)) == 25


def test_another_value_of_the_same_time_is_kept_as_a_conflict(
    database: Database, tmp_path: Path
) -> None:
    counts = make(database, tmp_path, rig.Listed([cells(1, 0), cells(1, 0, "9")])).round()
    assert (counts.stored, counts.conflicts) == (1, 1)
    assert rig.stored(database) == [("M1", rig.us(0), 1500)]


@pytest.mark.parametrize("statement", range(2, 40, 4))
def test_a_process_that_dies_at_any_statement_loses_and_doubles_nothing(
    database: Database, tmp_path: Path, statement: int
) -> None:
    rows = [cells(n % 5 + 1, n) for n in range(12)]
    rows[3]["volume"] = "?"
    rows[7]["meter"] = "T99"
    with contextlib.suppress(Stop), dies_at(database, statement):
        make(database, tmp_path, rig.Listed(rows, batch=5)).round()
    make(database, tmp_path, rig.Listed(rows, batch=5)).round()
    times = [time_us for _, time_us, _ in rig.stored(database)]
    assert sorted(times) == [rig.us(n) for n in range(12) if n not in (3, 7)]
    assert sorted(one["place"] for one in rig.letters(tmp_path)) == ["row 3", "row 7"]


def test_sabotage_a_cursor_that_is_kept_before_its_rows_loses_them(
    database: Database, tmp_path: Path
) -> None:
    rows = [cells(n % 5 + 1, n) for n in range(12)]

    class Hasty(rig.Listed):
        def read(self, cursor: str) -> Batch:
            batch = super().read(cursor)
            with database.begin() as session:
                session.execute(update(BridgeSource).values(cursor=batch.cursor))
            return batch

    stored = []
    for statement in range(4, 16, 3):
        with database.begin() as session:
            session.execute(delete(Reading))
            cursors.rewind(session, "scada")
        with contextlib.suppress(Stop), dies_at(database, statement):
            make(database, tmp_path, Hasty(rows, batch=5)).round()
        make(database, tmp_path, rig.Listed(rows, batch=5)).round()
        stored.append(len(rig.stored(database)))
    assert min(stored) == 7


def test_a_letter_is_on_disk_before_its_row_is_passed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise BridgeError("no room")

    source = rig.Listed([cells(1, 0), cells(99, 1)])
    with monkeypatch.context() as patched:
        patched.setattr(DeadLetters, "add", full)
        with pytest.raises(BridgeError):
            make(database, tmp_path, source).round()
    assert rig.stored(database) == []
    assert source.settled_at == []
    make(database, tmp_path, source).round()
    assert len(rig.stored(database)) == len(rig.letters(tmp_path)) == 1


def test_what_is_refused_is_taken_in_when_mapping_and_registry_are_mended(
    database: Database, tmp_path: Path
) -> None:
    rows = [cells(1, 0, "1,5"), cells(7, 1), cells(8, 2), cells(1, 3)]
    make(database, tmp_path, rig.Listed(rows)).round()
    whys = [one["why"] for one in rig.letters(tmp_path)]
    assert "is no number" in whys[0]
    assert "number T7: no such terminal" in whys[1]
    migration_rig.bring(database, tmp_path, [migration_rig.line(7)])
    letters = DeadLetters(tmp_path / "bridge/scada.dead.jsonl")
    rules = rig.write(tmp_path, SOURCE).rules
    counts, left = pump.retry(database, rules, letters)
    assert (counts.rows, counts.stored) == (3, 1)
    assert [one.cells["meter"] for one in left] == ["T1", "T8"]
    assert [one["cells"]["meter"] for one in rig.letters(tmp_path)] == ["T1", "T8"]
    assert ("M7", rig.us(1), 1500) in rig.stored(database)


def test_a_retry_that_dies_behind_its_commit_stores_nothing_twice(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(database, tmp_path, rig.Listed([cells(7, 1)])).round()
    migration_rig.bring(database, tmp_path, [migration_rig.line(7)])
    letters = DeadLetters(tmp_path / "bridge/scada.dead.jsonl")
    rules = rig.write(tmp_path, SOURCE).rules

    def dies(*_: object) -> None:
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(DeadLetters, "remove", dies)
        with pytest.raises(Stop):
            pump.retry(database, rules, letters)
    counts, left = pump.retry(database, rules, letters)
    assert (counts.stored, counts.again, left) == (0, 1, [])
    assert len(rig.stored(database)) == 1
    assert rig.letters(tmp_path) == []


def test_a_terminal_that_is_retired_says_so(database: Database, tmp_path: Path) -> None:
    with database.begin() as session:
        session.execute(update(Terminal).values(state="retired"))
    make(database, tmp_path, rig.Listed([cells(1, 0)])).round()
    assert "is not active" in rig.letters(tmp_path)[0]["why"]


def test_a_torn_letter_is_cut_and_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "x.dead.jsonl"
    letters = DeadLetters(path)
    several = [letter("x", Row(str(n), {"a": str(n)}), "why", 1) for n in range(3)]
    assert letters.add(several[:2]) == 2
    with path.open("a") as file:
        file.write('{"id": "half of a l')
    again = DeadLetters(path)
    assert again.add(several) == 1
    assert [one.place for one in again.all()] == ["0", "1", "2"]


def test_too_many_letters_stop_the_source_and_lose_none(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "x.dead.jsonl", most=2)
    several = [letter("x", Row(str(n), {"a": str(n)}), "why", 1) for n in range(3)]
    letters.add(several[:2])
    with pytest.raises(BridgeError, match="2 dead letters"):
        letters.add(several[2:])
    assert letters.add(several[:2]) == 0


def test_letters_that_people_wrote_are_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "x.dead.jsonl"
    path.write_text(json.dumps({"id": "1"}) + "\n")
    with pytest.raises(BridgeError, match="line 1: no dead letter"):
        DeadLetters(path).all()


def test_a_source_of_another_kind_does_not_take_a_cursor_over(database: Database) -> None:
    with database.begin() as session, pytest.raises(BridgeError, match="reads a folder"):
        cursors.open_source(session, "scada", "rest")
