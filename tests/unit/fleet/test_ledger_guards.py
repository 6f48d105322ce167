"""Each guard of the ledger: what it refuses, and what an audit names where it is taken away."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from ledger_rig import HOUR, Stop, Town, dies_at, keys

from fleet.db import migrate
from fleet.migration import (
    audit,
    dualrun,
    guards,
    handover,
    invariants,
    ledger,
    moves,
    scaling,
    states,
)
from fleet.migration.breaches import BrokenInvariant, LedgerError
from fleet.migration.handover import Handover, Typed
from fleet.migration.ledger import Closing, Opening
from fleet.migration.states import Actor
from fleet.settings import CONFIG, load
from fleet.telemetry.metering import guards as metering_guards


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.close()


def cut_over(town: Town) -> str:
    """A meter in its dual run, and cut over; its new terminal."""
    town.days(3, town.old())
    town.ready()
    new = town.add_terminal(since=998_000)
    town.now += HOUR
    town.install(new)
    town.days(4, town.old(), new)
    town.freeze()
    assert town.judge()[0].passed
    town.cut_over()
    town.days(3, town.old(), new)
    town.freeze()
    return new


def behind(town: Town, *statements: str) -> None:
    """Somebody writes to the file, and no constraint or trigger holds him back."""
    with contextlib.closing(sqlite3.connect(town.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA ignore_check_constraints=ON")
        for name in guards.names():
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute("DROP INDEX IF EXISTS uq_register_segments_open")
        for statement in statements:
            connection.execute(statement)


def refused(town: Town, statement: str) -> str:
    """What the database itself says to a statement."""
    with contextlib.closing(sqlite3.connect(town.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=ON")
        with pytest.raises(sqlite3.IntegrityError) as error:
            connection.execute(statement)
    return str(error.value)


def named(town: Town) -> str:
    """The invariant whose breach an audit names."""
    found = audit.audit(town.database, "2g", keys())
    assert found.breach is not None
    assert found.as_json()["ok"] is False
    return found.breach.invariant


def test_an_audit_of_a_whole_life_is_clean(town: Town) -> None:
    cut_over(town)
    town.roll_back()
    town.days(2, town.old())
    town.freeze()
    found = audit.audit(town.database, "2g", keys())
    assert found.breach is None
    assert found.segments == 3
    assert found.lines == 3
    assert all(found.checked.values())
    json.dumps(found.as_json())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE evidence SET body = '{}' WHERE id = 1",
        "DELETE FROM evidence WHERE id = (SELECT max(id) FROM evidence)",
        "UPDATE bill_lines SET to_index = to_index + 1",
        "DELETE FROM bill_lines",
        "DELETE FROM register_segments",
        "UPDATE register_segments SET start_index = 0",
        "UPDATE register_segments SET to_us = to_us + 1 WHERE to_us IS NOT NULL",
        "UPDATE register_segments SET unit = 'L'",
    ],
)
def test_what_is_on_record_is_never_changed(town: Town, statement: str) -> None:
    cut_over(town)
    text = refused(town, statement)
    assert any(word in text for word in ("never changed", "only ended", "not end before"))


COPIED = (
    "INSERT INTO bill_lines (asset_id, register, number, previous, from_us, to_us, from_index,"
    " to_index, quality, reason, gap_us, policy_us, segment_no, read_us, read_raw, total,"
    " freeze_id, evidence_id) SELECT asset_id, register, {number}, {previous}, {from_us}, {to_us},"
    " {from_index}, {to_index}, {quality}, '', {gap_us}, policy_us, segment_no, read_us, read_raw,"
    " total, freeze_id, evidence_id FROM bill_lines ORDER BY number DESC LIMIT 1"
)
NEXT = {
    "number": "number + 1", "previous": "number", "from_us": "to_us", "to_us": "to_us + 1",
    "from_index": "to_index", "to_index": "to_index", "quality": "0", "gap_us": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"to_index": "to_index - 1"}, "CHECK"),  # I1
        ({"from_index": "to_index - 5"}, "FOREIGN KEY"),  # I2
        ({"from_us": "from_us"}, "UNIQUE"),  # I3: the same period again
        ({"from_us": "to_us - 1"}, "FOREIGN KEY"),  # I3: a part of it
        ({"number": "number"}, "CHECK"),
        ({"gap_us": "policy_us + 1"}, "CHECK"),  # I4
    ],
)
def test_the_database_takes_no_wrong_bill_line(
    town: Town, change: dict[str, str], word: str
) -> None:
    cut_over(town)
    assert word in refused(town, COPIED.format(**{**NEXT, **change}))


def test_the_database_takes_no_line_on_a_segment_that_had_ended(town: Town) -> None:
    cut_over(town)
    before, after = COPIED.format(**NEXT).rsplit("segment_no", 1)
    text = refused(town, f"{before}0{after}")
    assert "had ended before" in text


def test_the_database_takes_no_second_billed_terminal(town: Town) -> None:
    cut_over(town)
    columns = [row[1] for row in rig.query(town.path, "PRAGMA table_info(register_segments)")]
    kept = ", ".join(name for name in columns if name not in ("id", "number", "previous"))
    statement = (
        f"INSERT INTO register_segments (number, previous, {kept}) SELECT number + 1, number,"  # noqa: S608
        f" {kept} FROM register_segments WHERE to_us IS NULL"
    )
    text = refused(town, statement)
    assert "UNIQUE" in text or "FOREIGN KEY" in text


# What somebody does behind the guards' back, and the invariant that an audit names.
@pytest.mark.parametrize(
    ("statement", "invariant"),
    [
        ("UPDATE register_segments SET start_index = start_index + 7 WHERE number = 1", "I1"),
        ("UPDATE register_segments SET base_index = base_index + 7 WHERE number = 1", "I1"),
        ("UPDATE bill_lines SET to_index = from_index - 1 WHERE number = 1", "I1"),
        ("UPDATE bill_lines SET to_index = to_index + 7 WHERE number = 1", "I2"),
        ("UPDATE bill_lines SET from_index = from_index + 7 WHERE number = 1", "I2"),
        ("UPDATE register_segments SET from_us = from_us + 7 WHERE number = 1", "I3"),
        ("UPDATE bill_lines SET from_us = from_us - 7 WHERE number = 1", "I3"),
        ("DELETE FROM readings WHERE id = (SELECT max(id) FROM readings)", "I3"),
        ("UPDATE bill_lines SET gap_us = policy_us + 1 WHERE number = 1", "I4"),
        ("UPDATE migration_items SET state = 'rolled_back'", "I5"),
        ("UPDATE register_segments SET modulus = 99999999 WHERE number = 1", "I6"),
        ("UPDATE register_segments SET last_raw = last_raw + 1 WHERE number = 0", "I6"),
        ("UPDATE register_segments SET decimals = 1 WHERE number = 1", "I7"),
        ("UPDATE bill_lines SET gap_us = gap_us - 1 WHERE number = 1", "E"),
        ("UPDATE migration_items SET deadline_us = deadline_us + 1", "E"),
        ("UPDATE migration_items SET deadline_us = NULL", "E"),
        ("UPDATE ledger_policies SET rollback_s = 1", "E"),
        ("DELETE FROM ledger_policies", "E"),
        ("UPDATE evidence SET person = 'Mallory' WHERE id = 3", "E"),
        ("DELETE FROM evidence WHERE id = 3", "E"),
        ("DELETE FROM evidence WHERE id = (SELECT max(id) FROM evidence)", "E"),
        ("UPDATE evidence SET signature = x'00' WHERE signature IS NOT NULL", "E"),
        ("UPDATE evidence SET key_id = x'0102030405060708' WHERE key_id IS NOT NULL", "E"),
    ],
)
def test_sabotage_behind_the_guards_an_audit_names_the_breach(
    town: Town, statement: str, invariant: str
) -> None:
    cut_over(town)
    behind(town, statement)
    assert named(town) == invariant


def test_readings_that_vanish_are_a_gap_that_no_estimate_tells(town: Town) -> None:
    cut_over(town)
    behind(
        town,
        "DELETE FROM readings WHERE id NOT IN (SELECT min(id) FROM readings UNION "
        "SELECT r.id FROM readings r JOIN bill_lines l ON r.time_us = l.read_us)",
    )
    assert named(town) in {"I3", "I4"}


def naive(old: ledger.Standing, old_reads: object, new: handover.Candidate, kind: str,
          now_us: int) -> Handover:  # fmt: skip
    """As who never heard of offsets: the new dial is the index."""
    states_ = scaling.steps(old.start(), list(old_reads), old.segment.modulus)  # type: ignore[call-overload]
    last = states_[-1]
    raw = new.reads[-1].raw
    return Handover(
        Closing(last.at_us, old.reached(last), last),
        Opening(new.terminal_id, kind, "common", new.meaning, last.at_us, raw, raw),
    )


def test_sabotage_without_the_offset_what_flowed_is_lost(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet.migration import cutover

    monkeypatch.setattr(cutover, "hand_over", naive)
    first = town.flowed[town.assets[0]] + 700
    cut_over(town)
    assert town.index() != town.flowed[town.assets[0]]
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used != town.flowed[town.assets[0]] - first


def test_sabotage_without_the_ledger_a_dual_run_is_billed_twice(town: Town) -> None:
    """As who sums what came in of both terminals."""
    new = cut_over(town)
    rows = rig.query(
        town.path, "SELECT terminal_id, min(value), max(value) FROM readings GROUP BY 1"
    )
    assert len(rows) == 2
    twice = sum(last - first for _, first, last in rows)
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert twice > used
    assert town.segments()[-1].terminal_id == new


def test_a_transition_that_would_break_an_invariant_is_undone(town: Town) -> None:
    cut_over(town)
    behind(town, "UPDATE bill_lines SET from_index = from_index + 7 WHERE number = 1")
    before = rig.query(town.path, "SELECT * FROM migration_items")
    with pytest.raises(BrokenInvariant, match="I2"):
        town.roll_back()
    assert rig.query(town.path, "SELECT * FROM migration_items") == before
    assert town.state() == states.CUT_OVER


def test_sabotage_without_the_checks_it_would_be_done(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_over(town)
    behind(town, "UPDATE bill_lines SET from_index = from_index + 7 WHERE number = 1")
    monkeypatch.setattr(invariants, "first", lambda *_: None)
    town.roll_back()
    assert town.state() == states.ROLLED_BACK
    monkeypatch.undo()
    assert named(town) == "I2"


@pytest.mark.parametrize("what", ["cut_over", "roll_back", "freeze"])
def test_a_death_at_any_statement_leaves_all_or_nothing(town: Town, what: str) -> None:
    town.days(3, town.old())
    town.ready()
    new = town.add_terminal(since=998_000)
    town.now += HOUR
    town.install(new)
    town.days(4, town.old(), new)
    town.judge()
    if what == "roll_back":
        town.cut_over()
        town.days(1, town.old(), new)
    act = getattr(town, what)
    tables = ("register_segments", "bill_lines", "migration_items", "evidence", "migration_swaps")

    def stored() -> list[object]:
        return [rig.query(town.path, f"SELECT * FROM {table}") for table in tables]  # noqa: S608

    before = stored()
    statement = 0
    while True:
        statement += 1
        try:
            with dies_at(town.database, statement):
                act()
        except Stop:
            assert stored() == before
            continue
        break
    assert statement > 5
    assert stored() != before
    assert audit.audit(town.database, "2g", keys()).breach is None
    again = stored()
    if what != "roll_back":
        act()
        assert stored() == again


def test_a_rollback_behind_its_deadline_is_refused(town: Town) -> None:
    new = cut_over(town)
    town.days(11, new)
    with pytest.raises(LedgerError, match="was possible until"):
        town.roll_back()
    town.settle()
    assert town.decommission() == town.items


def test_a_terminal_is_not_let_go_before_the_deadline(town: Town) -> None:
    cut_over(town)
    town.settle()
    with pytest.raises(LedgerError, match="may be rolled back until"):
        town.decommission()


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (-5, 0, "read the dial again"),
        (9_000_000, 0, "read the dial again"),
        (0, None, "--initial"),
    ],
)
def test_dials_that_contradict_the_readings_are_refused(
    town: Town, old: int, new: int | None, word: str
) -> None:
    town.days(3, town.old())
    town.ready()
    terminal = town.add_terminal()
    town.now += HOUR
    shown = town.raw(town.old()) + old
    with pytest.raises(LedgerError, match=word):
        town.install(terminal, mode="instead", old_raw=shown, new_raw=new)
    assert town.state() == states.READY


def test_a_gate_tells_two_registers_that_count_apart(town: Town) -> None:
    town.days(3, town.old())
    town.ready()
    new = town.add_terminal(since=998_000)
    town.now += HOUR
    town.install(new)
    shown = town.raw(new)
    town.dials[new].litres = 2  # a pulse weight set wrong
    town.dials[new].since = town.flowed[town.assets[0]] - 2 * shown
    town.days(4, town.old(), new)
    (verdict,) = town.judge()
    assert not verdict.passed
    assert "apart" in verdict.text
    with pytest.raises(LedgerError, match="installed"):
        town.cut_over()


def test_a_plan_is_left_once() -> None:
    """Nothing in the fleet makes an item planned again: so nobody may."""
    for before in states.ALL:
        assert states.who_may(before, states.PLANNED) == ()


def test_nobody_makes_a_transition_that_is_not_his(town: Town) -> None:
    town.days(3, town.old())
    town.ready()
    with town.desk(Actor.PERSON) as desk:
        (item,) = moves.find(desk, town.items)
        with pytest.raises(LedgerError, match="only technician"):
            moves.check(desk, item, states.INSTALLED)
    new = town.add_terminal()
    with town.desk(Actor.FLEET) as desk, pytest.raises(LedgerError, match="only technician"):
        dualrun.install(desk, [dualrun.Put(town.items[0], "beside", new, town.now)])


def test_a_visit_that_is_told_after_the_bill_was_closed_loses_nothing(town: Town) -> None:
    old = town.old()
    town.days(3, old)
    first = town.segments() or town.flowed[town.assets[0]] - 2 * 700
    town.ready()
    town.now += HOUR
    town.flow(50)
    new = town.add_terminal(since=town.flowed[town.assets[0]] - 40)
    visit = (town.now, town.raw(old), town.raw(new))
    town.days(2, litres=600)
    town.freeze()
    town.install(new, mode="instead", at_us=visit[0], old_raw=visit[1], new_raw=visit[2])
    town.days(1, new)
    town.freeze()
    used = sum(line.to_index - line.from_index for line in town.lines())
    assert used == town.flowed[town.assets[0]] - int(str(first))
    assert audit.audit(town.database, "2g", keys()).breach is None


def test_the_migration_has_the_same_triggers(town: Town, tmp_path: Path) -> None:
    folder = tmp_path / "migrated"
    folder.mkdir()
    (folder / CONFIG).write_text("")
    migrate.upgrade(load(folder))
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    assert rig.query(folder / "kapok.db", asked) == rig.query(town.path, asked)
    there = {name for name, _ in rig.query(town.path, asked)}
    assert {*guards.names(), *metering_guards.names()} <= there


def test_two_items_never_hold_one_terminal(town: Town) -> None:
    town.days(1, town.old())
    town.ready()
    with town.database.begin() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO migration_programmes (name, scope, rules, settings, made_us)"
            " VALUES ('other', '4401', '', '{}', 0)"
        )
    text = refused(
        town,
        "INSERT INTO migration_items (programme_id, asset_id, old_terminal_id, bearer,"
        " because, path, state, at_us, open_for) SELECT 2, asset_id, old_terminal_id, bearer,"
        " because, path, state, at_us, open_for FROM migration_items",
    )
    assert "open_for" in text


def test_a_dial_typed_at_one_moment_is_one_value(town: Town) -> None:
    new = cut_over(town)
    typed = Typed(town.now, town.raw(new) + 5, town.raw(town.old()))
    with pytest.raises(LedgerError, match="at that moment"):
        town.roll_back(typed=typed)


def test_a_cut_tail_is_seen_by_who_kept_the_head(town: Town) -> None:
    cut_over(town)
    head = audit.audit(town.database, "2g", keys()).head
    assert audit.audit(town.database, "2g", keys(), head).breach is None
    town.days(2, town.segments()[-1].terminal_id)
    town.freeze()
    newest = audit.audit(town.database, "2g", keys(), head)  # it grew, and is the same until then
    assert newest.breach is None
    behind(
        town,
        "DELETE FROM bill_lines WHERE id = (SELECT max(id) FROM bill_lines)",
        "DELETE FROM evidence WHERE id = (SELECT max(id) FROM evidence)",
    )
    assert audit.audit(town.database, "2g", keys(), head).breach is None
    found = audit.audit(town.database, "2g", keys(), newest.head)
    assert found.breach is not None
    assert "that was kept" in found.breach.text
    with pytest.raises(LedgerError, match="no head of evidence"):
        audit.audit(town.database, "2g", keys(), "12:ab")
