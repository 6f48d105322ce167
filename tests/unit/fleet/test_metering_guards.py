"""Each guard of metering: what it refuses, and what is lost where it is taken away."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from metering_rig import FIRST, Street
from sqlalchemy import select

from fleet.migration import billing, ledger, limits
from fleet.migration.ledger_tables import RegisterSegment
from fleet.telemetry.metering import (
    consumption,
    guards,
    history,
    holds,
    lines,
    reading,
    screening,
    shares,
)
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.tables import DailyRead


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    for _ in range(5):
        made.pass_day(700)
    made.read()
    yield made
    made.close()


def too_high(street: Street) -> None:
    """A bill that rests on an estimate, and the reading that was over-estimated."""
    for _ in range(3):
        street.pass_day(0, told=[])
    street.close_bill()
    street.tell(0, street.day)
    street.pass_day(600)


def refused(street: Street, statement: str) -> str:
    """What the database itself says to a statement."""
    with contextlib.closing(sqlite3.connect(street.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=ON")
        with pytest.raises(sqlite3.IntegrityError) as error:
            connection.execute(statement)
    return str(error.value)


def behind(street: Street, *statements: str) -> None:
    """Somebody writes to the file, and no constraint or trigger holds him back."""
    with contextlib.closing(sqlite3.connect(street.path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("PRAGMA ignore_check_constraints=ON")
        for name in guards.names():
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("UPDATE daily_reads SET at_index = at_index + 1", "never changed, only revised"),
        ("DELETE FROM daily_reads", "never changed, only revised"),
        ("UPDATE bill_exports SET person = 'x'", "only sealed, once"),
        ("DELETE FROM bill_exports", "an export is never changed"),
        ("UPDATE bill_export_pages SET body = x'00'", "an export is never changed"),
        ("DELETE FROM bill_export_pages", "an export is never changed"),
        ("INSERT INTO bill_export_pages VALUES (1, 7, x'00')", "an export is never changed"),
        ("UPDATE bill_shares SET used = 0", "an export is never changed"),
        ("DELETE FROM bill_shares", "an export is never changed"),
        (
            (
                "INSERT INTO bill_shares (export_id, line_id, kind, from_index, to_index, used,"
                " quality, method, reason, read_us)"
                " VALUES (1, 1, 'carried', 0, 0, 5, 0, '', '', 0)"
            ),
            "an export is never changed",
        ),
        (
            (
                "INSERT INTO bill_exports"
                " (scope, number, previous, from_us, to_us, person, made_us)"
                " SELECT scope, 1, 0, from_us, to_us + 1, '', 0 FROM bill_exports"
            ),
            "FOREIGN KEY",
        ),
    ],
)
def test_the_database_itself_keeps_what_was_said(
    sealed: Street, statement: str, text: str
) -> None:
    assert text in refused(sealed, statement)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """A street with one export; the database refuses whatever the tests try."""
    made = Street(tmp_path_factory.mktemp("sealed"))
    made.pass_day(700)
    made.close_bill()
    yield made
    made.close()


def test_a_bill_line_is_in_one_export_whatever_areas_overlap(sealed: Street) -> None:
    with contextlib.closing(sqlite3.connect(sealed.path)) as connection:
        connection.execute(
            "INSERT INTO bill_exports (id, scope, number, from_us, to_us, person, made_us)"
            " VALUES (9, '44', 0, 0, 1, '', 0)"
        )
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            connection.execute(
                "INSERT INTO bill_shares (export_id, line_id, kind, from_index, to_index, used,"
                " quality, method, reason, read_us)"
                " VALUES (9, 1, 'usage', 0, 0, 0, 0, '', '', 0)"
            )


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        (["UPDATE bill_export_pages SET body = x'789c030000000001'"], "not what its digest says"),
        (["UPDATE bill_export_pages SET body = x'00'"], "damaged"),
        (["DELETE FROM bill_export_pages"], "not what its digest says"),
        (["UPDATE bill_shares SET used = used - 1"], "its bill lines"),
        (
            [
                "DELETE FROM bill_export_pages",
                (
                    "UPDATE bill_exports SET digest ="
                    " 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'"
                ),
            ],
            "not what was signed",
        ),
        (["DELETE FROM bill_exports", "DELETE FROM bill_shares"], "were signed"),
    ],
)
def test_sabotage_an_export_that_was_changed_is_named(
    street: Street, statements: list[str], text: str
) -> None:
    street.close_bill()
    assert street.verify() == ""
    behind(street, *statements)
    assert text in street.verify()


def test_sabotage_a_correction_that_rewrites_its_period_changes_what_was_sent(
    street: Street,
) -> None:
    for _ in range(2):
        street.pass_day(900, told=[])
    sent = street.close_bill()
    street.tell(0, street.day)
    before = street.file(sent)
    behind(street, "DELETE FROM bill_export_pages", "UPDATE bill_shares SET used = used + 400",
           "UPDATE bill_exports SET digest = NULL, evidence_id = NULL, row_count = NULL,"
           " estimated = NULL, corrections = NULL")  # fmt: skip
    street.close_bill(street.day)
    assert street.file(sent) != before
    assert street.verify() != ""


def test_sabotage_without_the_floor_a_bill_would_go_back(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger never bills under what it billed; and if it did, the database would not."""
    too_high(street)
    monkeypatch.setattr(
        ledger, "index_of",
        lambda segment, _line, walked: ledger.counted(segment, walked.total),
    )  # fmt: skip
    with pytest.raises(Exception, match=r"CHECK constraint|I1|goes back") as error:
        street.close_bill()
    assert not isinstance(error.value, AssertionError)
    monkeypatch.undo()
    street.close_bill()
    assert [line.to_index - line.from_index for line in street.lines()] == [5600, 0]


def test_sabotage_without_what_is_carried_the_rows_are_not_the_bill(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_high(street)
    true = shares.Share

    def dropped(line_id: int, kind: str, a: int, b: int, used: int) -> Any:
        return true(line_id, kind, a, b, 0 if kind == shares.CARRIED else used)

    monkeypatch.setattr(shares, "Share", dropped)
    with pytest.raises(MeteringError, match="is billed, its rows say"):
        street.close_bill()


def test_sabotage_without_corrections_the_rows_are_not_the_bill(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_high(street)
    monkeypatch.setattr(lines, "_known_better", lambda *_: [])
    with pytest.raises(MeteringError, match="is billed, its rows say"):
        street.close_bill()


def test_sabotage_parts_of_revisions_that_do_not_count_do_not_add_up(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        street.pass_day(2000, told=[])
        street.read()
    street.tell(0, street.day)
    street.pass_day(700)
    street.read()
    ends = range(FIRST + 1, street.day + 2)

    def parts() -> int:
        return sum(street.used(0, day, day + 1) for day in ends[:-1])

    whole = street.used(0, ends[0], ends[-1])
    assert parts() == whole == street.truth[0, street.day] - street.truth[0, FIRST]
    assert street.used(0, ends[0], ends[-1]) == whole
    true = consumption._index

    def first_said(day: int) -> Any:
        if day % 2:
            return true(day)
        return (
            select(DailyRead.at_index)
            .where(DailyRead.asset_id == RegisterSegment.asset_id, DailyRead.day <= day)
            .order_by(DailyRead.day.desc(), DailyRead.revision)
            .limit(1)
            .correlate(RegisterSegment)
            .scalar_subquery()
        )

    calls = iter((first_said, true) * 100)

    def in_turn(day: int) -> Any:
        return next(calls)(day)

    monkeypatch.setattr(consumption, "_index", in_turn)
    assert parts() != whole


def test_sabotage_a_spike_that_is_not_held_is_billed(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.pass_day(700, told=[])
    street.tell(0, street.day, 9_000_000)
    true = reading._limit

    def limitless(*given: Any) -> screening.Limit:
        return true(*given)._replace(per_day=1 << 60)

    monkeypatch.setattr(reading, "_limit", limitless)
    monkeypatch.setattr(limits.Limit, "most", lambda *_: None)  # the ledger has a guard, too
    street.close_bill()
    assert street.lines()[-1].to_index == 9_000_000


def test_a_spike_is_not_billed(street: Street) -> None:
    street.pass_day(700, told=[])
    street.tell(0, street.day, 9_000_000)
    made = street.close_bill()
    assert street.lines()[-1].to_index == street.truth[0, street.day]
    assert made.estimated == 1


def test_sabotage_a_wrong_reading_before_a_bill_is_not_let_through_by_its_age(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.pass_day(700, told=[])
    street.pass_day(700)
    street.close_bill()
    street.tell(0, street.day - 1, 9_000_000)
    true = reading._limit

    def blind(*given: Any) -> screening.Limit:
        return true(*given)._replace(known_total=1 << 60)

    with monkeypatch.context() as sabotage:
        sabotage.setattr(reading, "_limit", blind)
        sabotage.setattr(holds, "hold", lambda *_: [])
        street.read()
        assert street.reads()[street.day].at_index > 9_000_000
    street.read()
    assert street.reads()[street.day].at_index == street.truth[0, street.day]


def test_sabotage_without_its_daily_reads_a_silent_meter_is_billed_at_its_last_reading(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        street.pass_day(700, told=[])
    true = billing.freeze
    monkeypatch.setattr(
        billing, "freeze", lambda desk, some, to_us, limits, _: true(desk, some, to_us, limits)
    )
    street.close_bill()
    assert street.lines()[-1].to_index == street.truth[0, street.day] - 2100


def test_a_revision_that_is_not_the_highest_counts_for_nothing(street: Street) -> None:
    street.pass_day(900, told=[])
    street.read()
    street.tell(0, street.day)
    street.read()
    with street.database.read() as session:
        rows = session.scalars(
            select(DailyRead).where(DailyRead.day == street.day, history.counts())
        ).all()
    assert [row.method for row in rows] == ["read"]
