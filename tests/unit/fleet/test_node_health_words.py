"""What nodes say of their health: taken in once, bounded, and shown."""

import binascii
from contextlib import closing
from pathlib import Path
from typing import Any

import fleet_rig
import pytest
from cli_rig import AREA, add_node, initialised, out, out_json, refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingest_rig import NODE, NOW, OTHER, message

from fleet.db.base import Database
from fleet.registry import health
from fleet.settings import load
from fleet.uplink.ingest import Ingest
from fleet.wire import report

MODULE = binascii.crc32(b"node.cycle")
CRASH = [(910, 0xDEADBEEF), (911, MODULE), (912, 60), (913, 54_321), (914, 4)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    initialised(folder)
    out(folder, "area", "add", AREA, "Tianhe")
    for node in (NODE, OTHER):
        add_node(folder, node)
    return folder


def tell(
    data: Path, *records: list[tuple[int, int]], node: str = NODE, first: int = 1, time: int = NOW
) -> list[str]:
    bodies = [
        (n, report.encode_body(time + n, report.GOOD, values))
        for n, values in enumerate(records, first)
    ]
    with closing(Database(load(data).database_url)) as database:
        sent = message(report.encode(7, time, bodies, {}), node)
        return [outcome.kind for outcome in Ingest(database).process([sent])]


def shown(data: Path, *arguments: str) -> Any:
    return out_json(data, "node", "health", *arguments)


def test_a_crash_is_shown_by_module_and_line_and_is_no_reading(data: Path) -> None:
    assert tell(data, [(2, 1830)], CRASH) == ["stored"]
    assert tell(data, [(2, 1830)], CRASH) == ["repeated"]
    (crash,) = shown(data, NODE)["crashes"]
    assert (crash["module"], crash["traceback"]) == ("node.cycle", "deadbeef")
    assert (crash["heap"], crash["cause"]) == (54_321, "deep-sleep")
    assert crash["line"] > 1
    assert shown(data, OTHER)["crashes"] == []
    assert len(out_json(data, "readings", "--node", NODE)["readings"]) == 1
    assert "node.cycle" in out(data, "node", "health", NODE)


def test_the_log_is_shown_with_what_each_number_is(data: Path) -> None:
    tell(data, [(920, 2), (921, 14 << 16)], [(920, 5), (921, -3)], [(920, 200), (921, 1)])
    entries = shown(data, NODE)["log"]
    assert [(e["name"], e["argument"]) for e in entries] == [
        ("200", 1), ("clock_set", -3), ("contact_failed", 14 << 16),
    ]  # fmt: skip
    assert "seconds it went forward" in out(data, "node", "health", NODE)


def test_the_newest_ledger_is_shown_in_its_units(data: Path) -> None:
    tell(data, [(110, 6_300), (118, 25)], [(110, 6_400), (118, 26)])
    assert shown(data, NODE)["ledger"] == {"boot_time": 6_400, "wakes": 26}
    assert "6.400 s" in out(data, "node", "health", NODE)


def test_the_same_fault_on_many_nodes_stands_first(data: Path) -> None:
    rare = [(910, 1), (911, 2), (912, 3), (913, 4), (914, 3)]
    tell(data, CRASH, rare, rare)
    tell(data, CRASH, node=OTHER)
    first, second = shown(data)
    assert (first["nodes"], first["times"], first["module"]) == (2, 2, "node.cycle")
    assert (second["nodes"], second["times"], second["cause"]) == (1, 2, "watchdog")
    assert (second["module"], second["line"]) == ("00000002", 3)


def test_an_unknown_node_is_refused_in_one_line(data: Path) -> None:
    assert "1gntj14d2z" in refusal(data, "node", "health", "1gntj14d2z")


def test_attack_a_node_that_tells_crashes_without_end_fills_no_database(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "KEPT", 20)
    for batch in range(4):
        tell(data, *[CRASH] * 30, first=1 + 30 * batch)
        tell(data, *[[(920, 1), (921, n)] for n in range(30)], first=1001 + 30 * batch)
    found = shown(data, NODE)
    assert (len(found["crashes"]), len(found["log"])) == (20, 20)
    assert found["log"][0]["argument"] == 29


@given(values=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=5, max_size=5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_attack_any_numbers_are_stored_and_shown(data: Path, values: list[int]) -> None:
    record = [(910 + n, value) for n, value in enumerate(values)]
    first = test_attack_any_numbers_are_stored_and_shown.__dict__.setdefault("first", [0])
    first[0] += 1
    assert tell(data, record, first=first[0]) == ["stored"]
    with closing(Database(load(data).database_url)) as database, database.read() as session:
        assert health.crashes_of(session, NODE)
        assert health.faults(session, 0)


def test_attack_numbers_of_a_crash_that_no_column_takes(data: Path) -> None:
    wide = (1 << 32) - 1
    assert tell(data, [(910, wide), (911, wide), (912, wide), (913, wide), (914, wide)]) == [
        "stored"
    ]
    found = fleet_rig.query(
        data / "kapok.db", "SELECT traceback, module, line, heap, cause FROM crashes"
    )
    assert found == [(wide, wide, *[(1 << 31) - 1] * 3)]
