"""Events of nodes as alarms: every code of the catalogue, once, in the order of their records."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alarm_rig import EVENT, START, AlarmRig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import texts
from fleet.alarms.kinds import BY_EVENT, KINDS, OF_EVENTS, SEVERITIES
from fleet.alarms.wording import text_of
from fleet.telemetry import newest
from fleet.wire import quantity

LEAK, GAS, BATTERY, POWER = 1, 6, 9, 45


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    return AlarmRig(tmp_path, monkeypatch)


def test_every_event_of_the_catalogue_is_a_kind_with_texts() -> None:
    assert set(OF_EVENTS) == set(quantity.EVENTS.values())
    for kind in KINDS:
        assert KINDS[kind].severity in SEVERITIES
        for lang in texts.LANGUAGES:
            assert texts.say(f"alarm.{kind}", lang)


def test_every_one_of_them_begins_and_ends(rig: AlarmRig) -> None:
    for code, node in zip(quantity.EVENTS, rig.nodes("gas-meter", 99), strict=False):
        rig.say(node, (int(rig.now), [(EVENT + code, 1), (10, 123)]))
        (found,) = rig.alarms()
        kind, began = KINDS[BY_EVENT[code]], found.began_us
        assert (found.kind, found.severity) == (BY_EVENT[code], kind.severity)
        assert found.subject == (node if kind.about == "node" else f"asset-{rig.asset(node)}")
        assert found.asset_id == rig.asset(node)
        for lang, says in (("en", "gas in air 12.3 %LEL"), ("zh", "燃气浓度 12.3 %LEL")):
            text = text_of(found, lang)
            assert says in text
            assert "{" not in text
        rig.now += 60
        rig.say(node, (int(rig.now), [(EVENT + code, 0)]))
        assert rig.alarms() == []
        (over,) = rig.alarms(history=True, node_id=node)
        assert (over.began_us, over.ended_us) == (began, int((START + rig.now) * 1_000_000))


def test_begin_and_end_in_one_report_are_an_alarm_that_is_over(rig: AlarmRig) -> None:
    (node,) = rig.nodes("gas-meter")
    rig.now = 100
    rig.say(node, (0, [(EVENT + LEAK, 1)]), (50, [(EVENT + LEAK, 0)]))
    (found,) = rig.alarms(history=True)
    assert found.state == "cleared"


def test_two_assets_and_two_events_are_alarms_of_their_own(rig: AlarmRig) -> None:
    one, two = rig.nodes("gas-meter", 2)
    rig.say(one, (0, [(EVENT + LEAK, 1)]), (1, [(EVENT + GAS, 1)]))
    rig.say(two, (0, [(EVENT + LEAK, 1)]))
    assert rig.kinds() == ["leak", "gas", "leak"]


def test_begun_anew_after_a_power_cut_it_counts(rig: AlarmRig) -> None:
    (node,) = rig.nodes("gas-meter")
    rig.say(node, (0, [(EVENT + LEAK, 1)]))
    rig.now = 60
    rig.say(node, (60, [(EVENT + LEAK, 1)]))
    (found,) = rig.alarms()
    assert found.times == 2


def test_an_event_of_a_newer_firmware_is_shown_by_its_number(rig: AlarmRig) -> None:
    (node,) = rig.nodes("gas-meter")
    rig.say(node, (0, [(EVENT + 777, 1)]))
    (found,) = rig.alarms()
    assert found.kind == "unknown-event"
    assert "event 777" in text_of(found, "en")


def test_events_are_stored_as_readings_too(rig: AlarmRig) -> None:
    (node,) = rig.nodes("gas-meter")
    rig.say(node, (0, [(EVENT + LEAK, 1), (8, 20)]))
    with rig.database.read() as session:
        assert newest.last(session, (rig.asset(node), EVENT + LEAK), 1 << 60) == (
            START * 1_000_000, 1,
        )  # fmt: skip


def test_a_late_begin_does_not_raise_what_has_ended(rig: AlarmRig) -> None:
    (node,) = rig.nodes("gas-meter")
    late = rig.payload(node, [(0, [(EVENT + LEAK, 1)])])
    rig.now = 100
    rig.say(node, (50, [(EVENT + LEAK, 0)]))
    rig.deliver((node, late))
    assert rig.kinds() == []


def test_sabotage_without_the_look_at_what_is_stored_it_does(
    rig: AlarmRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "newest", lambda *_: {})
    (node,) = rig.nodes("gas-meter")
    late = rig.payload(node, [(0, [(EVENT + LEAK, 1)])])
    rig.now = 100
    rig.say(node, (50, [(EVENT + LEAK, 0)]))
    rig.deliver((node, late))
    assert rig.kinds() == ["leak"]


@pytest.fixture
def many(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[AlarmRig, str]]:
    rig = AlarmRig(tmp_path_factory.mktemp("many"), monkeypatch)
    rig.now = 4000
    return lambda: (rig, rig.nodes("gas-meter")[0])


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_whatever_the_order_the_newest_record_decides(
    many: Callable[[], tuple[AlarmRig, str]], values: list[bool], data: st.DataObject
) -> None:
    rig, node = many()
    payloads = [
        rig.payload(node, [(60 * n, [(EVENT + LEAK, int(value))])], first=n + 1)
        for n, value in enumerate(values)
    ]
    order = data.draw(st.permutations(range(len(values))))
    again = data.draw(st.lists(st.sampled_from(order), max_size=6))
    for place in [*order, *again]:
        rig.deliver((node, payloads[place]))
    found = rig.alarms(history=True, node_id=node)
    assert [each.state for each in found].count("open") == values[-1]
    assert all(each.state == "cleared" for each in found[:-1])
    assert len(found) <= sum(values)
