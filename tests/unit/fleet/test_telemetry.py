"""Readings: exact numbers, marked clocks, pages that show each reading once."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.telemetry import operations as telemetry
from fleet.telemetry.operations import Filter, New, TelemetryError
from fleet.wire.quantity import QUANTITIES

HOUR_US = 3600 * 1_000_000
DAY_US = 24 * HOUR_US


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_database(tmp_path)
    yield opened
    opened.close()


def asset_of(database: Database, node_id: str) -> int:
    """The asset that a node serves."""
    with database.read() as session:
        asset_id = registry.show_node(session, node_id).asset_id
    assert asset_id is not None
    return asset_id


def new(asset: int, node: str, time_us: int, value: int = 0, quantity: int = 2) -> New:
    """A reading that came in just now."""
    return New(asset, node, quantity, time_us, value, 0, telemetry.TLS, rig.NOW_US)


def times(database: Database, wanted: Filter, after: str = "", limit: int = 1000) -> list[int]:
    """The times of a page."""
    with database.read() as session:
        rows = telemetry.page(session, wanted, telemetry.read_cursor(after), limit)
        return [row.time_us for row in rows]


@pytest.mark.parametrize(
    ("quantity", "value", "says"),
    [
        (2, 1830, "1.830 m"),
        (2, 0, "0.000 m"),
        (2, 5, "0.005 m"),
        (2, -5, "-0.005 m"),
        (2, -1830, "-1.830 m"),
        (3, 1, "1"),
        (4, 1000, "100.0 %"),
        (1, (1 << 63) - 1, "9223372036854775.807 m3"),
        (1, -(1 << 63), "-9223372036854775.808 m3"),
        (60000, -12, "-12"),
    ],
)
def test_a_value_is_written_exactly(quantity: int, value: int, says: str) -> None:
    assert telemetry.written(quantity, value) == says


@given(st.sampled_from(sorted(QUANTITIES)), st.integers(-(1 << 63), (1 << 63) - 1))
def test_no_digit_of_a_written_value_is_lost(quantity: int, value: int) -> None:
    number = telemetry.written(quantity, value).split(" ")[0]
    assert int(number.replace(".", "")) == value
    decimals = QUANTITIES[quantity][2]
    assert len(number.partition(".")[2]) == decimals


@pytest.mark.parametrize(
    ("age_us", "off"),
    [
        (0, False),
        (-HOUR_US, False),
        (-HOUR_US - 1, True),
        (400 * DAY_US, False),
        (400 * DAY_US + 1, True),
        (rig.NOW_US, True),
        (rig.NOW_US - 0xFFFFFFFF * 1_000_000, True),
    ],
)
def test_a_time_far_from_the_fleets_is_stored_and_marked(
    database: Database, age_us: int, off: bool
) -> None:
    (node,) = rig.add_nodes(database, 1)
    with database.begin() as session:
        telemetry.store(session, [new(asset_of(database, node), node, rig.NOW_US - age_us)])
    with database.read() as session:
        (row,) = telemetry.page(session, Filter())
        assert (row.clock_off, row.time_us) == (off, rig.NOW_US - age_us)


def test_values_of_64_bits_and_time_zero_come_back(database: Database) -> None:
    (node,) = rig.add_nodes(database, 1)
    asset = asset_of(database, node)
    with database.begin() as session:
        n = telemetry.store(
            session, [new(asset, node, 0, -(1 << 63)), new(asset, node, 0, (1 << 63) - 1)]
        )
    assert n == 2
    with database.read() as session:
        assert [r.value for r in telemetry.page(session, Filter())] == [-(1 << 63), (1 << 63) - 1]
    assert times(database, Filter(since_us=0, until_us=1)) == [0, 0]


def test_pages_show_each_reading_once_though_times_repeat(database: Database) -> None:
    (node,) = rig.add_nodes(database, 1)
    asset = asset_of(database, node)
    given_times = [5, 3, 3, 3, 9, 0, 5, 3]
    with database.begin() as session:
        telemetry.store(session, [new(asset, node, t, i) for i, t in enumerate(given_times)])
    for limit in (1, 2, 3, 8, 9):
        seen: list[tuple[int, int]] = []
        after = ""
        while True:
            with database.read() as session:
                rows = telemetry.page(session, Filter(), telemetry.read_cursor(after), limit)
            if not rows:
                break
            seen += [(r.time_us, r.value) for r in rows]
            after = telemetry.cursor(rows[-1])
        assert seen == sorted(seen)
        assert len(set(seen)) == len(seen) == len(given_times)


def test_a_page_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "PAGE", 2)
    (node,) = rig.add_nodes(database, 1)
    asset = asset_of(database, node)
    with database.begin() as session:
        telemetry.store(session, [new(asset, node, t) for t in range(5)])
    assert times(database, Filter(), limit=10**9) == [0, 1]


def test_filters_select(database: Database) -> None:
    one, two = rig.add_nodes(database, 2)
    a, b = asset_of(database, one), asset_of(database, two)
    with database.begin() as session:
        telemetry.store(
            session,
            [new(a, one, 10), new(a, one, 20, quantity=100), new(b, two, 30), new(b, two, 40)],
        )
    assert times(database, Filter(asset_id=a)) == [10, 20]
    assert times(database, Filter(terminal_id=two)) == [30, 40]
    assert times(database, Filter(quantity=100)) == [20]
    assert times(database, Filter(since_us=20, until_us=40)) == [20, 30]
    assert times(database, Filter(asset_id=a, terminal_id=two)) == []


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30])
def test_numbers_that_no_column_can_hold_are_refused(database: Database, number: int) -> None:
    for wanted in (Filter(asset_id=number), Filter(since_us=number), Filter(until_us=number)):
        with pytest.raises(TelemetryError):
            times(database, wanted)


@pytest.mark.parametrize(
    "bad", ["1", "1-", "-1-1", "1-2-3", "１-１", "1-1\n", "9" * 19 + "-1", "x"]
)
def test_a_cursor_that_was_not_given_is_refused(bad: str) -> None:
    with pytest.raises(TelemetryError, match="no `after`"):
        telemetry.read_cursor(bad)


@pytest.mark.parametrize(
    "wanted",
    [Filter(), Filter(asset_id=1), Filter(asset_id=1, quantity=2), Filter(terminal_id="x")],
)
def test_no_page_of_one_series_or_of_all_sorts_the_table(
    database: Database, wanted: Filter
) -> None:
    """SQLite's plan says how a page is read: `SCAN` without an index would read every row."""
    statements: list[str] = []
    from sqlalchemy import event

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    times(database, wanted, "5-5")
    with database.read() as session:
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {statements[-1]}", tuple([0] * statements[-1].count("?"))
        )
        lines = [row[-1] for row in plan]
    assert not any(line == "SCAN readings" for line in lines), lines
    if wanted.asset_id is None or wanted.quantity is not None:
        assert not any("TEMP B-TREE" in line for line in lines), lines


@pytest.mark.parametrize(
    ("name", "code"), [("level", 2), ("2", 2), ("battery_voltage", 100), ("65535", 65535)]
)
def test_a_quantity_has_a_name_and_a_number(name: str, code: int) -> None:
    assert telemetry.quantity_code(name) == code
    assert telemetry.quantity_name(2) == "level"
    assert telemetry.quantity_name(65535) == "65535"


@pytest.mark.parametrize("bad", ["depth", "", "-1", "²", "9" * 5000])
def test_an_unknown_quantity_is_refused(bad: str) -> None:
    with pytest.raises(TelemetryError, match="gas_volume"):
        telemetry.quantity_code(bad)


def test_an_asset_that_does_not_exist_breaks_a_constraint(database: Database) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), database.begin() as session:
        telemetry.store(session, [new(4711, "x", 0)])
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM readings")) == 0
