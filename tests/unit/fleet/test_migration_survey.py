"""The survey: coverage of sites by what was measured there or near, and how sure that is; the
load of the cells.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig
import migration_rig as rig
import pytest
from sqlalchemy import select

from fleet.db.base import Database
from fleet.migration import cells, planner, rules, samples, scheduling, survey, survey_list
from fleet.migration.cells import Demand
from fleet.migration.inventory_tables import LegacyTerminal
from fleet.migration.survey import Heard, Place, Result
from fleet.migration.survey_tables import Coverage, RadioSample
from fleet.registry import operations as registry
from fleet.registry.tables import Asset, Installation, Terminal
from fleet.telemetry import operations as telemetry

LIMITS = rules.load().coverage
CELLS = rules.load().cells


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_city(tmp_path)
    yield opened
    opened.close()


def street(database: Database, folder: Path, count: int, step_m: int = 10) -> None:
    """Meters T1, T2, ... in a row to the north, so many metres apart."""
    degrees = 89.83 * step_m  # 1e-7 degrees of 1 m
    lines = [
        rig.line(n, latitude=f"23.{1300000 + round(n * degrees):07d}") for n in range(1, count + 1)
    ]
    rig.bring(database, folder, lines)


def found(database: Database, number: str, operator: str = "cmcc") -> Coverage | None:
    with database.read() as session:
        return session.scalar(
            select(Coverage)
            .join(Asset, Asset.site_id == Coverage.site_id)
            .join(Installation, Installation.asset_id == Asset.id)
            .join(LegacyTerminal, LegacyTerminal.terminal_id == Installation.open_for)
            .where(LegacyTerminal.number == number, Coverage.operator == operator)
        )


def told(one: Coverage | None) -> tuple[Any, ...]:
    assert one is not None
    return one.ecl, one.by, one.samples, one.radius_m, one.confidence


def test_fourteen_neighbours_within_80_m_say_ecl_1(database: Database, tmp_path: Path) -> None:
    """The example of a plan's line, from the log to the line."""
    street(database, tmp_path, 15, step_m=10)
    lines = [rig.heard(terminal=f"T{n}", ecl=1) for n in range(1, 16) if n != 8]
    rig.measure(database, tmp_path, lines)
    assert told(found(database, "T8")) == (1, "neighbours", 14, 80, "medium")
    rig.plan(database)
    with database.read() as session:
        programme = planner.get(session, "gas")
        subject, steps = scheduling.steps(session, programme, "T8")
        assert subject is not None
        assert [one.name for one in steps if one.holds] == ["battery-nb"]


def test_what_is_measured_at_the_site_goes_before_neighbours(
    database: Database, tmp_path: Path
) -> None:
    street(database, tmp_path, 10)
    lines = [rig.heard(terminal=f"T{n}", ecl=0, rsrp=-90) for n in range(2, 11)]
    own = [
        rig.heard(terminal="T1", ecl=2, rsrp=-119, at=f"2026-11-{day} 08:00")
        for day in (20, 21, 22)
    ]
    rig.measure(database, tmp_path, lines + own)
    assert told(found(database, "T1")) == (2, "own", 3, 0, "medium")
    # One reading of its own is little; but a worse one is not outvoted by the street.
    assert told(found(database, "T2")) == (0, "neighbours", 9, 80, "medium")


def test_one_bad_reading_of_its_own_is_not_outvoted(database: Database, tmp_path: Path) -> None:
    street(database, tmp_path, 10)
    lines = [rig.heard(terminal=f"T{n}", ecl=0, rsrp=-90) for n in range(2, 11)]
    rig.measure(database, tmp_path, [*lines, rig.heard(terminal="T1", ecl=2, rsrp=-121)])
    assert told(found(database, "T1")) == (2, "own", 1, 0, "low")


def test_farther_and_fewer_neighbours_are_less_sure(database: Database, tmp_path: Path) -> None:
    street(database, tmp_path, 12, step_m=50)
    lines = [rig.heard(terminal=f"T{n}") for n in (3, 4, 5, 6)]
    rig.measure(database, tmp_path, lines)
    assert told(found(database, "T2")) == (1, "neighbours", 4, 300, "low")
    assert told(found(database, "T12")) == (1, "neighbours", 1, 300, "low")
    one = found(database, "T1")
    assert told(one) == (1, "neighbours", 4, 300, "low")


def test_nothing_near_is_unknown_and_no_service_is_none(
    database: Database, tmp_path: Path
) -> None:
    street(database, tmp_path, 3, step_m=1000)
    lines = [
        rig.heard(terminal="T1", rsrp="none", ecl="", at=f"2026-11-2{n} 08:00") for n in (1, 2, 3)
    ]
    rig.measure(database, tmp_path, lines)
    assert told(found(database, "T1")) == (None, "own", 3, 0, "medium")
    assert found(database, "T3") is None
    with database.read() as session:
        counted = survey_list.counts(session, rig.AREA)
        listed = survey_list.sites(session, rig.AREA)
    assert [(one.coverage, one.sites) for one in counted] == [("none", 1), ("unknown", 2)]
    assert [one.ecl for one in listed] == [None]
    rig.plan(database)
    with database.read() as session:
        bearers = [made.bearer for _, made in planner.choices(session, rig.AREA, rules.load())]
    assert sorted(bearers) == ["gateway", "legacy", "legacy"]


def test_survey_nodes_are_sure_and_measure_at_bare_positions_too(
    database: Database, tmp_path: Path
) -> None:
    street(database, tmp_path, 2, step_m=20)
    lines = [rig.heard(terminal="T1", at=f"2026-11-2{n} 08:00") for n in (1, 2, 3)]
    rig.measure(database, tmp_path, lines, source="survey")
    assert told(found(database, "T1"))[4] == "high"
    spots = [
        rig.heard(latitude=f"23.13{n:05d}", longitude="113.3300000", operator="ctcc", ecl=2)
        for n in range(100, 900, 100)
    ]
    rig.measure(database, tmp_path, spots, source="survey")
    assert told(found(database, "T2", "ctcc"))[:2] == (2, "neighbours")


def test_a_measurement_comes_in_once(database: Database, tmp_path: Path) -> None:
    street(database, tmp_path, 1)
    lines = [rig.heard(terminal="T1"), rig.heard(terminal="T1"), rig.heard(asset="M1", ecl=2)]
    first = rig.measure(database, tmp_path, lines)
    assert sorted(one.outcome for one in first) == ["known", "new", "new"]
    assert {one.outcome for one in rig.measure(database, tmp_path, lines)} == {"known"}
    with database.read() as session:
        assert len(session.scalars(select(RadioSample)).all()) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bearer": "6g"}, "bearer '6g'"),
        ({"terminal": "T9"}, "not in the inventory"),
        ({"terminal": ""}, "where was it measured"),
        ({"at": ""}, "when was it measured"),
        ({"at": "yesterday"}, "such as"),
        ({"rsrp": "", "ecl": ""}, "neither rsrp nor ecl"),
        ({"rsrp": "-300"}, "-156 to -20"),
        ({"ecl": "7"}, "0 to 2"),
        ({"latitude": "113", "longitude": "23"}, "over 90 degrees"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused(
    changes: dict[str, Any], why: str, database: Database, tmp_path: Path
) -> None:
    street(database, tmp_path, 1)
    (one,) = rig.measure(database, tmp_path, [{**rig.heard(terminal="T1"), **changes}])
    assert one.outcome == "refused"
    assert why in one.fault


def test_what_our_own_nodes_report_comes_in_by_itself(database: Database, tmp_path: Path) -> None:
    (node,) = fleet_rig.add_nodes(database, 1, "gas-meter")
    now = registry.now_us()
    with database.begin() as session:
        row = session.get_one(Terminal, node)
        row.iccid, row.area_code = "89860300000000000001", rig.AREA
        place = session.scalars(select(Installation)).one()
        for quantity, value in ((101, -118), (102, 2)):
            telemetry.store(session, [telemetry.New(
                place.asset_id, node, quantity, now - 1000, value, 0, 2, now
            )])  # fmt: skip
    with database.begin() as session:
        assert samples.of_nodes(session, rig.AREA, 400) == 1
        assert samples.of_nodes(session, rig.AREA, 400) == 0
        one = session.scalars(select(RadioSample)).one()
        assert (one.operator, one.rsrp_dbm, one.ecl, one.bearer) == ("ctcc", -118, 2, "nb")


@pytest.mark.parametrize(
    ("rsrp", "ecl", "level"),
    [
        (-109, None, 0), (-110, None, 1), (-120, None, 1), (-121, None, 2), (-125, None, 2),
        (-126, None, 3), (None, None, 3), (-100, 2, 2), (None, 1, 1), (-126, 2, 3),
    ],
)  # fmt: skip
def test_rsrp_is_a_level_where_the_modem_told_none(
    rsrp: int | None, ecl: int | None, level: int
) -> None:
    assert survey.level(rsrp, ecl, LIMITS) == level


def test_the_worse_quarter_counts_not_the_middle() -> None:
    heard = [Heard(level, -100, None, "", False) for level in (0, 0, 0, 0, 1, 1, 2, 2)]
    assert survey.own(heard, LIMITS).ecl == 1
    assert survey.own([*heard, Heard(2, -120, None, "", False)], LIMITS).ecl == 2


def test_distances_agree_with_the_sphere() -> None:
    assert survey.distance_m((231_300_000, 1_133_300_000), (231_300_000, 1_133_310_000)) == 103
    assert survey.distance_m((231_300_000, 1_133_300_000), (231_310_000, 1_133_300_000)) == 112


def test_a_grid_finds_what_all_pairs_find() -> None:
    places = [
        Place(n, (231_300_000 + n % 10 * 7000, 1_133_300_000 + n // 10 * 9000), ())
        for n in range(100)
    ]
    grid = survey.Grid(places, 300)
    for place in places[::7]:
        assert place.at is not None
        near = {one.site_id for _, one in grid.near(place.at, place.site_id or 0)}
        wanted = {
            other.site_id
            for other in places
            if other.at is not None
            and other.site_id != place.site_id
            and survey.distance_m(place.at, other.at) <= 300
        }
        assert near == wanted


def test_no_neighbour_is_no_result() -> None:
    assert survey.by_neighbours([], LIMITS) is None
    assert survey.by_neighbours([(301, Place(1, None, ()))], LIMITS) is None
    heard = (Heard(1, -112, 2, "c9", False),)
    assert survey.by_neighbours([(10, Place(1, None, heard))], LIMITS) == Result(
        1, -112, 2, "c9", "neighbours", 1, 300, "low"
    )


def test_a_cell_has_so_much_airtime() -> None:
    """12 tones x 3600 s; 10 s at ECL 2, once a day within 6 hours: 25,920 are all of it."""
    demand = Demand("cmcc", "c1", 2, 1)
    (one,) = cells.load([demand] * 12_000, CELLS)
    assert (one.busy_permille, one.overload) == (462, "")
    (more,) = cells.load([demand] * 13_000, CELLS)
    assert (more.busy_permille, more.overload) == (501, "airtime")
    (easy,) = cells.load([demand._replace(ecl=0)] * 13_000, CELLS)
    assert (easy.busy_permille, easy.overload) == (20, "")
    assert easy.storm_s == 434  # all at once: 400 ms of each on 12 tones
    (many,) = cells.load([demand._replace(ecl=0)] * 52_501, CELLS)
    assert many.overload == "devices"


def test_hourly_reports_are_spread_and_nodes_count_too() -> None:
    loads = cells.load(
        [
            Demand("cmcc", "c1", 0, 24),
            Demand("cmcc", "c2", 1, 1, True),
            Demand("ctcc", "c1", 0, 1),
        ],
        {**CELLS, "tones": 1, "airtime_ms": [36_000, 72_000, 1]},
    )
    assert [(one.operator, one.cell, one.busy_permille, one.nodes) for one in loads] == [
        ("cmcc", "c1", 10, 0), ("cmcc", "c2", 3, 1), ("ctcc", "c1", 1, 0)
    ]  # fmt: skip
