"""Daily reads, estimates and what replaces them, exceptions, consumption, corrections in bills."""

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from ledger_rig import DAY, GAS, HOUR, Stop, dies_at, keys
from metering_rig import FIRST, Street
from sqlalchemy import func, select

from fleet.migration import audit
from fleet.migration.scaling import Meaning
from fleet.migration.states import Actor
from fleet.telemetry import operations as telemetry
from fleet.telemetry.metering import consumption, days, deciding, policy, worklist
from fleet.telemetry.metering.bill_tables import BillExport, BillShare
from fleet.telemetry.metering.errors import MeteringError
from fleet.telemetry.metering.policy import Policy
from fleet.telemetry.operations import New
from fleet.telemetry.tables import Reading


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    yield made
    made.close()


def week(street: Street, litres: int = 700) -> None:
    for _ in range(7):
        street.pass_day(litres)
        street.read()


def kinds(street: Street) -> list[tuple[str, str]]:
    return [(one.kind, one.state) for one in street.exceptions()]


def decide(street: Street, outcome: str) -> int:
    with street.database.begin() as session:
        desk = street.office.desk(session, Actor.PERSON, "Li Wei")
        return deciding.close(desk, street.exceptions()[0].id, outcome, "looked at it")


def test_a_day_ends_at_midnight_of_china() -> None:
    day = days.read("2026-11-30")
    assert days.end_us(day) == 1_796_054_400_000_000  # 2026-11-30T16:00:00Z
    assert days.day_of(days.end_us(day)) == day
    assert days.day_of(days.end_us(day) + 1) == day + 1
    assert (days.ends_at(days.end_us(day)), days.ends_at(days.end_us(day) + 1)) == (day, None)
    assert (days.ended(days.end_us(day)), days.ended(days.end_us(day) - 1)) == (day, day - 1)
    assert days.written(day) == "2026-11-30"
    with pytest.raises(MeteringError, match="is no day"):
        days.read("2026-02-30")


def test_months_and_days_are_pieces_without_holes() -> None:
    since, until = days.read("2026-01-15"), days.read("2026-04-02")
    months = days.pieces(since, until, "month")
    assert [days.written(first) for first, _ in months] == [
        "2026-01-15", "2026-02-01", "2026-03-01", "2026-04-01",
    ]  # fmt: skip
    for by in ("whole", "month", "day"):
        found = days.pieces(since, until, by)
        assert (found[0][0], found[-1][1]) == (since, until)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


def test_a_reading_nearer_to_midnight_that_comes_later_is_the_days_read(street: Street) -> None:
    week(street)
    street.pass_day(700, told=[])
    with street.database.begin() as session:
        noon = New(street.assets[0], street.old(), GAS, street.now - 12 * HOUR, 1_005_100, 0,
                   telemetry.LEGACY, street.now)  # fmt: skip
        telemetry.store(session, [noon])
    street.read()
    assert street.reads()[street.day].at_index == 1_005_100
    street.tell(0, street.day)
    assert street.read().revised == 1
    assert street.reads()[street.day].at_index == street.truth[0, street.day]


def test_a_silent_meter_is_estimated_and_its_readings_replace_that(street: Street) -> None:
    week(street)
    for _ in range(4):
        street.pass_day(900, told=[])
        street.read()
    silent = street.day
    read = street.reads()[silent]
    assert (read.quality, read.method, read.reason) == (1, "average", "missing")
    assert read.at_index == 1_004_900 + 4 * 700
    assert kinds(street) == [("missing", "open")]
    assert street.old() in street.exceptions()[0].detail
    street.pass_day(900)
    done = street.read()
    assert (done.replaced, done.cleared) == (0, 1)
    assert street.reads()[silent].method == "between"
    assert street.reads()[silent].at_index == 1_004_900 + 4 * 900
    street.tell(0, silent)
    assert street.read().replaced == 1
    read = street.reads()[silent]
    assert (read.quality, read.method, read.reason) == (0, "read", "")
    assert read.revision >= 2
    assert kinds(street) == [("missing", "closed")]
    rows = rig.query(
        street.path, "SELECT method FROM daily_reads WHERE day = ? ORDER BY revision", silent
    )
    assert [method for (method,) in rows] == ["average", "between", "read"]


def test_an_estimate_does_not_grow_for_ever(street: Street) -> None:
    with street.database.begin() as session:
        policy.keep(session, GAS, Policy(estimate_days=5))
    week(street)
    for _ in range(9):
        street.pass_day(0, told=[])
    street.read()
    assert street.reads()[street.day].at_index == 1_004_900 + 5 * 700


def test_without_a_typical_use_the_last_reading_stands(street: Street) -> None:
    street.pass_day(700, told=[])
    street.read()
    read = street.reads()[street.day]
    assert (read.method, read.at_index) == ("stands", 1_000_000)


def test_a_spike_is_held_until_somebody_accepts_it(street: Street) -> None:
    week(street)
    street.pass_day(90_000)
    done = street.read()
    assert (done.held, done.opened) == (1, 1)
    assert kinds(street) == [("spike", "open")]
    read = street.reads()[street.day]
    assert (read.method, read.reason, read.at_index) == ("average", "spike", 1_005_600)
    with street.database.begin() as session:
        assert worklist.take(session, 1, "Li Wei").state == "taken"
    with pytest.raises(MeteringError, match="with Li Wei"), street.database.begin() as session:
        worklist.take(session, 1, "Chen")
    with pytest.raises(MeteringError, match="--accept"):
        decide(street, worklist.NOTED)
    assert decide(street, worklist.ACCEPTED) == 1
    assert street.read().replaced == 1
    assert street.reads()[street.day].at_index == street.truth[0, street.day]
    with pytest.raises(MeteringError, match="accepted already"):
        decide(street, worklist.ACCEPTED)
    assert audit.audit(street.database, "2g", keys()).breach is None


def test_a_spike_that_the_meter_itself_disproves_is_rejected(street: Street) -> None:
    week(street)
    street.pass_day(700, told=[])
    street.tell(0, street.day, 9_999_999)
    assert street.read().held == 1
    wrong = street.day
    street.pass_day(700)
    done = street.read()
    assert (done.held, done.cleared) == (0, 1)
    assert kinds(street) == [("spike", "closed")]
    read = street.reads()[wrong]
    assert (read.method, read.reason) == ("between", "spike")
    assert read.at_index == street.truth[0, wrong]


def test_what_a_bill_rests_on_is_never_held(street: Street) -> None:
    street.pass_day(400_000)  # nothing is typical yet
    street.read()
    street.close_bill()
    week(street, 700)
    assert street.read().held == 0
    assert audit.audit(street.database, "2g", keys()).breach is None


def test_a_register_that_went_back_counts_for_nothing_and_is_told(street: Street) -> None:
    week(street)
    street.pass_day(700, told=[])
    street.tell(0, street.day, 12)
    street.read()
    assert kinds(street) == [("negative", "open")]
    assert "kapok migrate ledger change" in street.exceptions()[0].detail
    read = street.reads()[street.day]
    assert (read.method, read.reason) == ("average", "negative")
    street.read()
    assert len(street.exceptions()) == 1
    decide(street, worklist.NOTED)
    street.read()
    assert kinds(street) == [("negative", "closed")]


def test_a_clock_that_is_wrong_is_told(street: Street) -> None:
    week(street)
    street.pass_day(700, told=[])
    with street.database.begin() as session:
        telemetry.store(
            session,
            [New(street.assets[0], street.old(), GAS, street.now + 900 * DAY, 1_005_600, 0,
                 telemetry.LEGACY, street.now - HOUR)],
        )  # fmt: skip
    street.read()
    assert kinds(street) == [("clock", "open")]
    read = street.reads()[street.day]
    assert (read.method, read.reason) == ("average", "clock")


def test_a_meter_that_uses_nothing_any_more_is_told_until_it_does(street: Street) -> None:
    with street.database.begin() as session:
        policy.keep(session, GAS, Policy(zero_days=5))
    week(street)
    for _ in range(6):
        street.pass_day(0)
        street.read()
    assert kinds(street) == [("zero", "open")]
    street.pass_day(700)
    street.read()
    assert kinds(street) == [("zero", "closed")]


def test_a_terminal_that_was_swapped_without_the_ledger_is_named(street: Street) -> None:
    week(street)
    new = street.add_terminal()
    with street.database.begin() as session:
        session.connection().exec_driver_sql(
            "UPDATE installations SET terminal_id = ?, open_for = ?", (new, new)
        )
    for _ in range(3):
        street.pass_day(700, told=[])
    street.read()
    assert f"{new} is installed" in street.exceptions()[0].detail


def test_a_meter_that_was_swapped_is_read_across_its_terminals(street: Street) -> None:
    week(street)
    new = street.add_terminal(meaning=Meaning("L", 0, modulus=100_000), since=street.flowed[1])
    street.now += HOUR
    street.install(new)
    street.now -= HOUR
    for _ in range(4):
        street.pass_day(700)
        street.report(new)
    assert street.judge()[0].passed
    street.cut_over()
    for _ in range(3):
        street.pass_day(800, told=[])
        street.report(new)
    street.read()
    reads = street.reads()
    assert {read.method for read in reads.values()} == {"read"}
    assert [read.at_index for _, read in sorted(reads.items())] == [
        street.truth[0, day] for day in range(FIRST, street.day + 1)
    ]
    street.close_bill()
    assert street.lines()[-1].to_index == street.truth[0, street.day]
    assert audit.audit(street.database, "2g", keys()).breach is None


def test_consumption_by_area_is_that_of_its_assets(tmp_path: Path) -> None:
    street = Street(tmp_path, 3)
    for _ in range(5):
        street.pass_day(100, 200, 300)
    street.pass_day(100, 200, 300, told=[0, 1])
    street.read()
    with street.database.read() as session:
        (area,) = consumption.of_areas(session, FIRST + 1, street.day + 1, rig.AREA, 6)
        every = list(consumption.all_assets(session, FIRST + 1, street.day + 1, rig.AREA))
        assert consumption.of_areas(session, FIRST + 1, street.day + 1, "9", 6) == []
    assert area.used == sum(one.used for one in every) == 6 * 600
    assert (area.assets, area.exact) == (3, 2)
    assert [one.estimated for one in every] == [0, 0, 1]
    street.close()


def test_a_correction_goes_into_the_next_export_and_never_into_the_last(street: Street) -> None:
    week(street)
    for _ in range(3):
        street.pass_day(1000, told=[])
    first = street.close_bill()
    sent = street.file(first)
    assert street.shares(first) == [("usage", 4900 + 3 * 700)]
    assert (first.row_count, first.estimated, first.corrections) == (1, 1, 0)
    street.tell(0, street.day)
    street.pass_day(500)
    second = street.close_bill()
    assert street.shares(second) == [("correction", 900), ("usage", 500)]
    assert street.file(first) == sent
    assert street.verify() == ""
    rows = list(csv.DictReader(io.StringIO(street.file(second), newline="")))
    assert [(row["kind"], row["used"], row["line"]) for row in rows] == [
        ("correction", "0.900", "0"), ("usage", "0.500", "1"),
    ]  # fmt: skip
    assert (rows[1]["billed_from"], rows[1]["billed_to"]) == ("1007.000", "1008.400")


def test_a_bill_that_was_estimated_too_high_is_carried_and_never_goes_back(street: Street) -> None:
    week(street)
    for _ in range(3):
        street.pass_day(0, told=[])
    street.close_bill()
    street.tell(0, street.day)
    street.pass_day(600)
    second = street.close_bill()
    assert street.shares(second) == [("correction", -2100), ("carried", 1500), ("usage", 600)]
    street.pass_day(2000)
    third = street.close_bill()
    assert street.shares(third) == [("carried", -1500), ("usage", 2000)]
    used = [line.to_index - line.from_index for line in street.lines()]
    assert used == [7000, 0, 500]
    assert street.lines()[-1].to_index == street.truth[0, street.day]
    assert audit.audit(street.database, "2g", keys()).breach is None


def test_a_period_is_closed_once_and_none_is_left_out(street: Street) -> None:
    week(street)
    first = street.close_bill(street.day - 3)
    assert street.close_bill(street.day - 3).id == first.id
    with pytest.raises(MeteringError, match="closed through"):
        street.close_bill(street.day - 5)
    with pytest.raises(MeteringError, match="has not ended"):
        street.close_bill(street.day + 1)
    second = street.close_bill()
    assert (second.number, second.previous, second.from_us) == (1, 0, first.to_us)


def test_what_a_programme_froze_is_exported_with_the_next_bill(street: Street) -> None:
    week(street)
    street.now += HOUR
    street.freeze()
    street.now -= HOUR
    week(street)
    made = street.close_bill()
    assert [kind for kind, _ in street.shares(made)] == ["usage", "usage"]
    assert sum(used for _, used in street.shares(made)) == 14 * 700


@pytest.mark.parametrize("statement", [9, 26, 36, 44])
def test_a_closing_that_was_killed_is_done_again_and_bills_nothing_twice(
    tmp_path: Path, statement: int
) -> None:
    street = Street(tmp_path, 2)
    for _ in range(4):
        street.pass_day(700, 900)
    with pytest.raises(Stop), dies_at(street.database, statement):
        street.close_bill()
    made = street.close_bill()
    assert [street.shares(made, place) for place in range(2)] == [
        [("usage", 2800)], [("usage", 3600)],
    ]  # fmt: skip
    with street.database.read() as session:
        assert session.scalar(select(func.count()).select_from(BillExport)) == 1
        assert session.scalar(select(func.count()).select_from(BillShare)) == 2
        assert session.scalar(select(func.count()).select_from(Reading)) == 10
    assert street.verify() == ""
    street.close()


def test_a_register_that_was_retired_ends_where_its_bill_does(street: Street) -> None:
    week(street)
    street.pass_day(700, told=[])
    street.pass_day(300, told=[])
    street.now -= 6 * HOUR
    street.install(street.old(), mode="same", dials=False, terminal_id="", old_raw=1_005_900)
    assert street.judge()[0].passed
    street.cut_over()
    end = street.segments()[-1].end_index
    assert end is not None
    street.now += 6 * HOUR
    for _ in range(4):
        street.pass_day(0, told=[])
    street.read()
    reads = street.reads()
    last = max(reads)
    assert (reads[last].method, reads[last].at_index) == ("read", end)
    assert last == days.day_of(street.segments()[-1].to_us or 0)
    assert street.used(0, FIRST + 1, street.day + 1) == end - 1_000_000
    assert street.exceptions() == []
    assert street.shares(street.close_bill()) == [("usage", end - 1_000_000)]
    street.pass_day(0, told=[])
    assert street.close_bill().row_count == 0
    assert audit.audit(street.database, "2g", keys()).breach is None


def test_a_name_is_no_formula_in_an_export(street: Street) -> None:
    with street.database.begin() as session:
        session.connection().exec_driver_sql("UPDATE assets SET name = '=HYPERLINK(\"x\"),\n1'")
    street.pass_day(700)
    text = street.file(street.close_bill())
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["name"] == '\'=HYPERLINK("x"),\n1'
    assert row["used"] == "0.700"
