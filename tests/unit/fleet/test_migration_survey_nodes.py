"""What survey nodes report becomes coverage of the sites at which they stood, band by band."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet_rig
import migration_rig as rig
import pytest
from sqlalchemy import select

from fleet.db.base import Database
from fleet.migration import rules, samples, survey, survey_nodes
from fleet.migration.survey import Heard
from fleet.migration.survey_tables import Coverage, RadioSample
from fleet.registry import acts, installations
from fleet.registry import operations as registry
from fleet.registry.labels import LabelText
from fleet.registry.operations import RegistryError, now_us
from fleet.registry.tables import Asset, Installation, Site, Terminal
from fleet.telemetry import operations as telemetry

LIMITS = rules.load().coverage
RSRP, ECL, SNR, OPERATOR, RADIO, BAND, CELL, REFUSAL = 101, 102, 104, 105, 106, 107, 108, 125
NB, LTE = 9, 7
SECOND_US = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_city(tmp_path)
    rig.bring(opened, tmp_path, [rig.line(1), rig.line(2)])
    yield opened
    opened.close()


@pytest.fixture
def node(database: Database) -> str:
    (made,) = fleet_rig.add_nodes(database, 1, "survey")
    with database.begin() as session:
        session.get_one(Terminal, made).area_code = rig.AREA
    return made


def put(database: Database, node: str, asset: str, at_us: int) -> str:
    """Install it as a technician does; what was said."""
    label = LabelText(node)
    act = acts.Install(
        acts.new_id(), at_us, "Li Wei", label, asset, rig.AREA, None, None, "", "", "", True
    )
    with database.begin() as session:
        return installations.take_in(session, act).said


def report(database: Database, node: str, at_us: int, *looks: dict[int, int]) -> None:
    """One look a second from a time on, at the asset where the node was then."""
    with database.begin() as session:
        for n, values in enumerate(looks):
            time_us = at_us + n * SECOND_US
            asset = session.scalars(
                select(Installation.asset_id).where(
                    Installation.terminal_id == node, Installation.from_us <= time_us,
                    (Installation.to_us > time_us) | Installation.to_us.is_(None),
                )
            ).one()  # fmt: skip
            telemetry.store(
                session,
                [
                    telemetry.New(asset, node, quantity, time_us, value, 0, 2, now_us())
                    for quantity, value in values.items()
                ],
            )


def cell(rsrp: int, ecl: int, band: int) -> dict[int, int]:
    return {
        OPERATOR: 46011, RADIO: NB, RSRP: rsrp, ECL: ecl, SNR: 53, BAND: band, CELL: 0x288516,
    }  # fmt: skip


def coverage(database: Database) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    with database.begin() as session:
        survey_nodes.take(session, rig.AREA, 400)
        survey.compute(session, rig.AREA, LIMITS)
    with database.read() as session:
        rows = session.execute(
            select(Site.name, Coverage.operator, Coverage.bearer, Coverage)
            .join(Site, Site.id == Coverage.site_id)
            .where(Coverage.by == "own")
        )
        return {
            (site, operator, bearer): (one.ecl, one.rsrp_dbm, one.samples, one.confidence)
            for site, operator, bearer, one in rows
        }


def test_three_looks_at_a_site_are_its_coverage_for_sure(database: Database, node: str) -> None:
    hour = now_us() - 3600 * SECOND_US
    said = put(database, node, "M1", hour)
    assert said.startswith(f"node {node} installed at survey at M1 (id:")
    report(database, node, hour + SECOND_US, *[cell(-112 - n, 1, 5) for n in range(3)])
    assert coverage(database) == {("house 1", "ctcc", "nb"): (1, -114, 3, "high")}
    with database.read() as session:
        one = session.scalars(select(RadioSample).order_by(RadioSample.at_us)).first()
        assert one is not None
        assert (one.source, one.band, one.cell, one.snr_db) == ("survey", 5, "288516", 5)
    with database.begin() as session:
        assert survey_nodes.take(session, rig.AREA, 400) == 0  # each comes in once
        assert samples.of_nodes(session, rig.AREA, 400) == 0  # and not as a meter's besides


def test_it_is_carried_on_and_each_site_has_what_was_measured_there(
    database: Database, node: str
) -> None:
    hour = now_us() - 7200 * SECOND_US
    put(database, node, "M1", hour)
    report(database, node, hour + SECOND_US, *[cell(-95, 0, 5)] * 3)
    put(database, node, "M2", hour + 600 * SECOND_US)
    # What it measured at the first site may come in behind the move.
    report(database, node, hour + 60 * SECOND_US, *[cell(-96, 0, 5)] * 3)
    report(database, node, hour + 700 * SECOND_US, *[cell(-121, 2, 5)] * 3)
    assert coverage(database) == {
        ("house 1", "ctcc", "nb"): (0, -96, 6, "high"),
        ("house 2", "ctcc", "nb"): (2, -121, 3, "high"),
    }
    put(database, node, "M1", hour + 1400 * SECOND_US)
    with database.read() as session:
        spots = session.scalars(
            select(Asset.name).where(Asset.kind == "survey", Asset.name.like("survey at%"))
        )
        assert sorted(spots) == ["survey at M1", "survey at M2"]  # not a third


def test_the_best_band_counts_and_nothing_on_all_bands_is_nothing(
    database: Database, node: str
) -> None:
    hour = now_us() - 3600 * SECOND_US
    put(database, node, "M1", hour)
    nothing = {OPERATOR: 46011, RADIO: NB}
    report(
        database, node, hour + SECOND_US,
        *[cell(-118, 1, 5)] * 3, *[{**nothing, BAND: 8}] * 3,  # none on one band alone
        *[{OPERATOR: 46000, RADIO: NB}] * 3,
        *[{OPERATOR: 46001, RADIO: NB, REFUSAL: 11}] * 3,  # there, and not measured
        *[{OPERATOR: 46001, RADIO: LTE, RSRP: -88, CELL: 1}] * 3,
        {OPERATOR: 26201, RADIO: NB, RSRP: -100, ECL: 0, CELL: 1},
    )  # fmt: skip
    assert coverage(database) == {
        ("house 1", "ctcc", "nb"): (1, -118, 3, "high"),
        ("house 1", "cmcc", "nb"): (None, None, 3, "high"),
        ("house 1", "cucc", "cat1"): (0, -88, 3, "high"),
        ("house 1", "26201", "nb"): (0, -100, 1, "low"),
    }


def test_bands_are_compared_by_their_own_worse_quarter() -> None:
    five = [Heard(0, -90, None, "", True, 5), Heard(2, -121, None, "", True, 5)]
    eight = [Heard(1, -112, None, "", True, 8)] * 2
    nothing = [Heard(3, None, None, "", True, None)]
    log = [Heard(2, -122, None, "", False, 5)]
    assert survey.as_a_terminal([*five, *eight]) == tuple(eight)
    assert survey.as_a_terminal([*five, *nothing, *log]) == (*five, *nothing, *log)
    assert survey.as_a_terminal([*five, *eight, *nothing, *log]) == (*eight, *nothing, *log)


def test_a_survey_node_is_no_terminal_of_the_asset(database: Database, node: str) -> None:
    put(database, node, "M1", now_us() - 3600 * SECOND_US)
    meter = fleet_rig.new_node_id()
    with database.begin() as session:
        registry.add_node(session, meter, "gas-meter", rig.AREA)
    put(database, meter, "M1", now_us() - 1800 * SECOND_US)  # it is not in the way
    with pytest.raises(RegistryError, match="is a survey, not a gas-meter"):
        put(database, meter, "survey at M1", now_us())
