"""Threshold and rate rules on what comes in: once, in the readings' own order, at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alarm_rig import START, AlarmRig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.alarms import intake, packs, series
from fleet.alarms.hysteresis import Watch, step
from fleet.telemetry import newest
from fleet.wire.quantity import LEVEL

H2S, VELOCITY, RAIN, GAS = 18, 12, 13, 10
MINUTE, HOUR = 60, 3600


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    return AlarmRig(tmp_path, monkeypatch)


@pytest.fixture
def node(rig: AlarmRig) -> str:
    return rig.nodes("drainage")[0]


def test_a_threshold_is_raised_once_and_cleared_behind_the_other_limit(
    rig: AlarmRig, node: str
) -> None:
    rig.series(node, H2S, [(0, 10), (60, 70), (120, 95), (180, 60)])
    (found,) = rig.alarms()
    assert (found.kind, found.severity, found.times) == ("flood.h2s", "critical", 1)
    assert (found.subject, found.node, found.area) == (
        f"asset-{rig.asset(node)}", node, "440106001",
    )  # fmt: skip
    assert found.began_us == (START + 60) * 1_000_000
    rig.series(node, H2S, [(240, 50)])
    assert rig.kinds() == []
    (over,) = rig.alarms(history=True)
    assert (over.ended_us, over.cleared_by) == ((START + 240) * 1_000_000, "fleet")
    rig.series(node, H2S, [(300, 70)])
    assert [each.id for each in rig.alarms()] == [over.id + 1], "a new one"


def test_a_hold_is_over_when_a_reading_shows_it(rig: AlarmRig, node: str) -> None:
    rig.series(node, VELOCITY, [(0, -100), (300, -100), (599, -200)])
    rig.now = 3000
    rig.tick()
    assert rig.kinds() == []
    rig.series(node, VELOCITY, [(3001, -60)])
    assert rig.kinds() == ["flood.backflow"]
    assert rig.alarms()[0].began_us == START * 1_000_000
    rig.series(node, VELOCITY, [(3060, 0)])
    assert rig.kinds() == []


def test_a_rise_is_raised_within_the_report_that_brings_it(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(0, 1000), (15 * MINUTE, 1020)])
    rig.now = 45 * MINUTE
    rig.say(node, *[((20 + 5 * n) * MINUTE, [(LEVEL, 1020 + 130 * n)]) for n in range(5)])
    found = {each.kind: each for each in rig.alarms()}
    assert set(found) == {"flood.rise"}
    assert found["flood.rise"].detail["change"] == 540
    assert found["flood.rise"].began_us == (START + 40 * MINUTE) * 1_000_000
    rig.series(node, LEVEL, [(60 * MINUTE, 2300)])
    assert set(rig.kinds()) == {"flood.rise", "flood.rise-fast"}
    rig.series(node, LEVEL, [(3 * HOUR, 2200), (4 * HOUR, 2210), (5 * HOUR, 2200)])
    assert rig.kinds() == []


def test_where_samples_are_rare_a_rise_counts_in_proportion(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(0, 1000), (6 * HOUR, 3900)])
    assert rig.kinds() == []
    rig.series(node, LEVEL, [(12 * HOUR, 6900)])
    assert rig.kinds() == ["flood.rise"]


def test_rain_is_summed_over_the_window_of_each_signal(rig: AlarmRig, node: str) -> None:
    rig.series(node, RAIN, [(n * HOUR, 1000 + 80 * n) for n in range(7)])
    assert rig.kinds() == []
    rig.series(node, RAIN, [(7 * HOUR, 1600)])
    assert rig.kinds() == ["flood.rain-yellow"]
    rig.series(node, RAIN, [(8 * HOUR, 1990), (9 * HOUR, 2600)])
    assert set(rig.kinds()) == {"flood.rain-yellow", "flood.rain-orange", "flood.rain-red"}


def test_suspect_readings_count_where_the_rule_says_so(rig: AlarmRig, node: str) -> None:
    rig.say(node, (0, [(LEVEL, 1000)]))
    rig.say(node, (60, [(LEVEL, 9000)]), quality=2)
    assert rig.kinds() == [], "an outlier, flagged by the node"
    rig.say(node, (120, [(H2S, 99)]), quality=2)
    assert rig.kinds() == ["flood.h2s"], "danger is believed"


def test_rules_are_for_their_roles(rig: AlarmRig) -> None:
    (meter,) = rig.nodes("gas-meter")
    rig.say(meter, (0, [(H2S, 99), (GAS, 10)]))
    assert rig.kinds() == []
    rig.now = 121
    rig.say(meter, (60, [(GAS, 200)]), (121, [(GAS, 200)]))
    assert rig.kinds() == ["gas-safety.gas-low", "gas-safety.gas-high"]


def test_a_late_record_does_not_raise_what_has_ended(rig: AlarmRig, node: str) -> None:
    rig.series(node, H2S, [(0, 10), (100, 90), (200, 20)])
    rig.now = 300
    rig.say(node, (150, [(H2S, 95)]))
    assert rig.kinds() == []
    assert len(rig.alarms(history=True)) == 1


def test_a_late_record_does_not_end_what_goes_on(rig: AlarmRig, node: str) -> None:
    rig.series(node, H2S, [(0, 10), (200, 90)])
    rig.now = 300
    rig.say(node, (150, [(H2S, 20)]))
    assert rig.kinds() == ["flood.h2s"]


def test_sabotage_without_the_look_at_what_is_stored_a_late_one_raises(
    rig: AlarmRig, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "newest", lambda *_: {})
    rig.series(node, H2S, [(0, 10), (100, 90), (200, 20)])
    rig.now = 300
    rig.say(node, (150, [(H2S, 95)]))
    assert rig.kinds() == ["flood.h2s"]


@pytest.mark.parametrize("ahead", [1800, 20 * 365 * 86400])
def test_a_clock_that_is_ahead_does_not_blind_the_rules(
    rig: AlarmRig, node: str, ahead: int
) -> None:
    rig.say(node, (ahead, [(H2S, 10)]))
    rig.now = 60
    rig.say(node, (60, [(H2S, 90)]))
    assert rig.kinds() == ["flood.h2s"]
    assert rig.alarms()[0].began_us == (START + 60) * 1_000_000


def test_a_clock_of_another_year_still_tells_what_rises_within_a_report(
    rig: AlarmRig, node: str
) -> None:
    rig.now = 6 * HOUR
    records = [(n * HOUR, [(LEVEL, 1000 + 550 * max(0, n - 4))]) for n in range(7)]
    rig.deliver((node, rig.payload(node, records, ahead=300 * 86400)))
    (found,) = rig.alarms()
    assert (found.kind, found.detail["change"]) == ("flood.rise", 550)
    assert found.began_us == (START + 5 * HOUR) * 1_000_000


def test_a_clock_at_its_epoch_counts_as_the_fleets(rig: AlarmRig, node: str) -> None:
    rig.say(node, (946_684_800 - START, [(H2S, 90)]))
    assert rig.alarms()[0].began_us == START * 1_000_000


def test_what_a_person_closed_comes_again_only_after_it_was_back(rig: AlarmRig, node: str) -> None:
    from fleet.alarms import operations

    rig.series(node, H2S, [(0, 90)])
    with rig.database.begin() as session:
        operations.clear_by_id(session, rig.alarms()[0].id, "Li Wei")
    rig.series(node, H2S, [(60, 95)])
    assert rig.kinds() == []
    rig.series(node, H2S, [(120, 10), (180, 95)])
    assert rig.kinds() == ["flood.h2s"]


def test_a_rule_that_fails_costs_no_reading_and_is_not_silent(
    rig: AlarmRig, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ArithmeticError("a bug")

    monkeypatch.setattr(series, "weigh", fails)
    rig.say(node, (0, [(H2S, 90)]))
    (found,) = rig.alarms()
    assert (found.kind, found.severity) == ("weighing", "critical")
    assert "a bug" in str(found.detail["reason"])


def test_what_one_asset_spoils_costs_the_others_no_alarm(
    rig: AlarmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *good = rig.nodes("drainage", 4)
    poison, weigh = rig.asset(bad), series.weigh

    def fails(session: Any, rules: Any, heard: Any, *more: Any) -> set[str]:
        if any(each.asset_id == poison for each in heard):
            raise ArithmeticError("a bug")
        return weigh(session, rules, heard, *more)

    monkeypatch.setattr(series, "weigh", fails)
    parts = [(each, rig.payload(each, [(0, [(H2S, 90)])])) for each in (bad, *good)]
    assert rig.deliver(*parts) == ["stored"] * 4
    assert sorted(rig.kinds()) == ["flood.h2s"] * 3 + ["weighing"]
    (found,) = [each for each in rig.alarms() if each.kind == "weighing"]
    assert found.detail["asset_id"] == poison


def test_a_quiet_report_writes_nothing_but_its_readings(rig: AlarmRig, node: str) -> None:
    rig.series(node, LEVEL, [(0, 1000)])
    from sqlalchemy import event

    written: list[str] = []

    def note(_c: object, _cur: object, statement: str, *_more: object) -> None:
        if statement.split(maxsplit=1)[0] in ("INSERT", "UPDATE", "DELETE"):
            written.append(statement if "alarm" in statement else "")

    event.listen(rig.database.engine, "before_cursor_execute", note)
    rig.series(node, LEVEL, [(60, 1001), (120, 1002)])
    assert set(written) == {""}


POINTS = st.lists(st.integers(40, 100), min_size=1, max_size=16)


def oracle(values: list[int]) -> tuple[int, bool]:
    """How many alarms a series of H2S gives, one reading a minute, and whether one is open."""
    watch, count = Watch(), 0
    for at, value in enumerate(values):
        after = step(watch, value >= 70, value <= 50, at, 0, 0)
        count += after.is_on and not watch.is_on
        watch = after
    return count, watch.is_on


@pytest.fixture
def many(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[AlarmRig, str]]:
    rig = AlarmRig(tmp_path_factory.mktemp("many"), monkeypatch)
    rig.now = 4000
    return lambda: (rig, rig.nodes("drainage")[0])


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(POINTS, st.integers(1, 8))
def test_reports_of_any_size_give_the_same_alarms(
    many: Callable[[], tuple[AlarmRig, str]], values: list[int], size: int
) -> None:
    rig, node = many()
    records = [(60 * n, [(H2S, value)]) for n, value in enumerate(values)]
    parts = [records[start : start + size] for start in range(0, len(records), size)]
    for part in parts:
        rig.say(node, *part)
    found = rig.alarms(history=True, node_id=node)
    assert (len(found), any(each.state == "open" for each in found)) == oracle(values)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(POINTS, st.data())
def test_order_and_repetition_never_double_an_alarm_nor_revive_one(
    many: Callable[[], tuple[AlarmRig, str]], values: list[int], data: st.DataObject
) -> None:
    """One reading a report, in any order, some again: an alarm is open only where the newest
    reading leaves it so, none stands twice, and none is over that the newest ones keep on."""
    rig, node = many()
    payloads = [
        rig.payload(node, [(60 * n, [(H2S, value)])], first=n + 1)
        for n, value in enumerate(values)
    ]
    order = data.draw(st.permutations(range(len(values))))
    again = data.draw(st.lists(st.sampled_from(order), max_size=6))
    for place in [*order, *again]:
        rig.deliver((node, payloads[place]))
    found = rig.alarms(history=True, node_id=node)
    count, _ = oracle(values)
    assert len(found) <= max(count, sum(value >= 70 for value in values))
    standing = [each for each in found if each.state == "open"]
    assert len(standing) <= 1
    # What each reading that was the newest when it came says, one after the other.
    newest_yet, seen = -1, []
    for place in order:
        if place > newest_yet:
            newest_yet = place
            seen.append(values[place])
    assert (len(found), bool(standing)) == oracle(seen)


def test_every_reading_of_a_batch_is_weighed_in_its_own_order(rig: AlarmRig, node: str) -> None:
    rig.now = 300
    one = rig.payload(node, [(100, [(H2S, 90)])], first=1)
    two = rig.payload(node, [(200, [(H2S, 10)])], first=2)
    assert rig.deliver((node, two), (node, one)) == ["stored", "stored"]
    (found,) = rig.alarms(history=True)
    assert found.state == "cleared"
    assert rig.kinds() == []


def test_the_intake_does_nothing_without_records(rig: AlarmRig) -> None:
    with rig.database.begin() as session:
        intake.take(session, [], [])
        assert "alarm rules" not in session.info
        packs.in_force(session)


def test_what_is_stored_is_found_by_the_index(rig: AlarmRig, node: str) -> None:
    from sqlalchemy import event

    rig.series(node, LEVEL, [(0, 1000), (60, 1001)])
    asked: list[tuple[str, object]] = []

    def note(_c: object, _cur: object, statement: str, values: object, *_more: object) -> None:
        if statement.startswith("WITH wanted"):
            asked.append((statement, values))

    event.listen(rig.database.engine, "before_cursor_execute", note)
    rig.series(node, LEVEL, [(120, 1001)])
    assert len(asked) == 2, "the newest, and the window"
    with rig.database.read() as session:
        for statement, values in asked:
            rows = session.connection().exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}",
                values,  # type: ignore[arg-type]
            )
            plan = [row[3] for row in rows]
            readings = [line for line in plan if "readings" in line]
            assert readings
            assert all("USING INDEX ix_readings_series" in line for line in readings), plan
