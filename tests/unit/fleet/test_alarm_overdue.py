"""What does not come: silent nodes, missing series, stuck sensors; and that nothing is scanned."""

from pathlib import Path

import pytest
from alarm_rig import START, AlarmRig
from sqlalchemy import event, select, text

from fleet.alarms import overdue, packs
from fleet.alarms.tables import WatchState
from fleet.control import layers
from fleet.control.targets import Target
from fleet.registry import operations as registry
from fleet.registry import sub_devices
from fleet.wire.quantity import LEVEL

HOUR, DAY = 3600, 86400
SILENT_S = 14 * HOUR  # of the flood pack
STUCK_S = 2 * DAY


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    return AlarmRig(tmp_path, monkeypatch)


@pytest.fixture
def node(rig: AlarmRig) -> str:
    return rig.nodes("drainage")[0]


def test_a_node_that_falls_silent_is_missed_and_found_again(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(0, 1000)])
    rig.now = SILENT_S - 1
    assert rig.tick() == 0
    assert rig.kinds() == []
    rig.now = SILENT_S + 1
    assert rig.tick() == 2
    assert set(rig.kinds()) == {"flood.silent", "flood.level-missing"}
    silent = next(each for each in rig.alarms() if each.kind == "flood.silent")
    assert (silent.node, silent.began_us) == (node, START * 1_000_000)
    rig.now = 20 * HOUR
    assert rig.tick() == 0, "it is raised, and no more in the queue"
    rig.series(node, LEVEL, [(20 * HOUR, 1010)])
    assert rig.kinds() == []
    rig.now = 40 * HOUR
    rig.tick()
    assert set(rig.kinds()) == {"flood.silent", "flood.level-missing"}


def test_a_series_is_missed_while_its_node_reports(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(0, 1000)])
    for hour in range(1, 20):
        rig.series(node, 5, [(hour * HOUR, 3600)])
        rig.tick()
    assert rig.kinds() == ["flood.level-missing"]
    rig.series(node, LEVEL, [(20 * HOUR, 1000)])
    assert rig.kinds() == []


def test_a_report_without_records_is_a_report(rig: AlarmRig, node: str) -> None:
    rig.series(node, 5, [(0, 3600)])
    rig.now = SILENT_S + 1
    rig.tick()
    assert rig.kinds() == ["flood.silent"]
    rig.deliver((node, rig.payload(node, [])))
    assert rig.kinds() == []


@pytest.mark.parametrize("state", ["revoked", "retired", "quarantined"])
def test_a_node_out_of_service_is_not_missed(rig: AlarmRig, node: str, state: str) -> None:
    rig.series(node, LEVEL, [(0, 1000)])
    with rig.database.begin() as session:
        registry.set_state(session, node, state)
    rig.now = SILENT_S + 1
    rig.tick()
    assert rig.kinds() == []


def test_an_asset_without_a_terminal_leaves_the_queue(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(0, 1000)])
    with rig.database.begin() as session:
        session.execute(text("UPDATE installations SET open_for = NULL, to_us = 1"))
    rig.now = STUCK_S + 1
    rig.tick()
    with rig.database.read() as session:
        assert list(session.scalars(select(WatchState))) == []


def test_a_report_moves_nothing_in_the_queue(rig: AlarmRig, node: str) -> None:
    """A write for each report would be the fleet's greatest load: the row is moved when due."""
    rig.series(node, LEVEL, [(0, 1000)])

    def queue() -> list[int | None]:
        with rig.database.read() as session:
            rows = session.scalars(select(WatchState).order_by(WatchState.rule))
            return [row.due_us for row in rows]

    before = queue()
    rig.series(node, LEVEL, [(hour * HOUR, 1000 + hour) for hour in range(1, 14)])
    assert queue() == before
    rig.now = SILENT_S + 1
    assert rig.tick() == 2
    assert rig.kinds() == []
    moved = queue()
    assert moved != before
    assert START + 13 * HOUR + SILENT_S in [(due or 0) // 1_000_000 for due in moved]


def test_a_tick_finds_what_is_due_by_the_index_whatever_the_fleets_size(rig: AlarmRig) -> None:
    with rig.database.begin() as session:
        session.execute(
            text(
                "INSERT INTO alarm_watches"
                " (asset_id, rule, phase, since_us, seen_us, value, due_us)"
                " WITH RECURSIVE n(i) AS"
                " (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                " SELECT i, 'flood.silent', 0, 0, 0, 0, :far FROM n"
            ),
            {"far": (START + 400 * DAY) * 1_000_000},
        )
    statements: list[str] = []
    event.listen(
        rig.database.engine, "before_cursor_execute",
        lambda _c, _cur, statement, *_more: statements.append(statement),
    )  # fmt: skip
    assert rig.tick() == 0
    asked = [s for s in statements if "alarm_watches" in s]
    assert len(asked) == 1
    with rig.database.read() as session:
        plan = session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + asked[0], (1, 500, 0))
        (detail,) = [row[3] for row in plan]
    assert "USING INDEX ix_alarm_watches_due_us" in detail
    assert "SCAN" not in detail


def test_what_is_due_at_once_is_worked_off_in_parts(
    rig: AlarmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "MOST", 4)
    nodes = rig.nodes("lamppost", 10)
    for node in nodes:
        rig.say(node, (0, [(3, 1)]))
    rig.now = DAY
    sizes = []
    while size := rig.tick():
        sizes.append(size)
    assert sizes == [4, 4, 2]
    assert rig.kinds(silenced=True).count("lighting.silent") == 10


def test_a_sensor_that_says_the_same_for_two_days_is_stuck(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(hour * HOUR, 1000 + hour % 2) for hour in range(10)])
    for hour in range(10, 70):
        rig.series(node, LEVEL, [(hour * HOUR, 1234)])
        rig.tick()
        assert rig.kinds() == ([] if hour < 58 else ["flood.level-stuck"]), hour
    (found,) = rig.alarms()
    assert (found.detail["value"], found.began_us) == (1234, (START + 10 * HOUR) * 1_000_000)
    rig.say(node, (65 * HOUR, [(LEVEL, 1200)]))
    assert rig.kinds() == ["flood.level-stuck"], "late: what it says was before"
    rig.series(node, LEVEL, [(70 * HOUR, 1235)])
    assert rig.kinds() == []


def test_a_dry_pipe_is_not_a_stuck_sensor(rig: AlarmRig, node: str) -> None:
    for hour in range(120):
        rig.series(node, LEVEL, [(hour * HOUR, 0)])
        rig.tick()
    assert rig.kinds() == []


WATER = """
name = "water"
title = { en = "Water", zh = "水表" }
[[rule]]
name = "missing"
kind = "missing"
role = "water-meter"
quantity = "water_volume"
after_s = 3600
severity = "notice"
en = "{asset} is silent behind {node}"
zh = "{asset} 在 {node} 后失联"
"""


def test_a_sub_device_is_missed_behind_a_gateway_that_reports(rig: AlarmRig) -> None:
    (gateway,) = rig.nodes("gateway")
    with rig.database.begin() as session:
        packs.add(session, WATER, "Li Wei")
        meter = sub_devices.name_sub(session, gateway, 3, "Water of house 5", "water-meter")
    rig.say(gateway, (0, [(99, 3), (34, 1000)]))
    rig.now = 3700
    rig.say(gateway, (3700, [(99, 4), (32, 215)]))
    rig.tick()
    (found,) = rig.alarms()
    assert (found.kind, found.asset_id, found.node) == (
        "water.missing", meter.asset_id, gateway,
    )  # fmt: skip
    assert found.detail["asset"] == "Water of house 5"
    rig.now = 3800
    rig.say(gateway, (3800, [(99, 3), (34, 1001)]))
    assert rig.kinds() == []


def test_few_readings_prove_nothing(rig: AlarmRig, node: str) -> None:
    for hour in range(0, 120, 8):
        rig.series(node, LEVEL, [(hour * HOUR, 1000)])
        rig.tick()
    assert rig.kinds() == []


def test_a_node_that_is_wanted_to_report_rarely_is_given_two_reports(
    rig: AlarmRig, node: str
) -> None:
    with rig.database.begin() as session:
        layers.set_(session, Target("node", node), {"report_s": 10 * HOUR}, "Li Wei")
    rig.series(node, LEVEL, [(0, 1000)])
    rig.now = SILENT_S + 1
    rig.tick()
    assert rig.kinds() == []
    rig.now = 20 * HOUR + 1
    rig.tick()
    assert set(rig.kinds()) == {"flood.silent", "flood.level-missing"}
