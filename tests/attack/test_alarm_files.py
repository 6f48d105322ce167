"""A technician's file, which no key of the node's vouches for, may raise alarms and ends none."""

from pathlib import Path

import pytest
from alarm_rig import EVENT, START, AlarmRig

from fleet.registry import operations as registry
from fleet.telemetry.operations import LEGACY
from fleet.uplink.message import Message
from fleet.wire.quantity import LEVEL

HOUR, SILENT_S = 3600, 14 * 3600
DOOR = 43


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    return AlarmRig(tmp_path, monkeypatch)


def by_file(rig: AlarmRig, node: str, *values: tuple[int, int]) -> None:
    """A record of now."""
    payload = rig.payload(node, [(int(rig.now), list(values))])
    sent = Message(node, payload, int((START + rig.now) * 1_000_000), trust=LEGACY)
    assert [each.kind for each in rig.ingest.process([sent])] == ["stored"]


def test_attack_a_file_ends_no_event(rig: AlarmRig) -> None:
    (node,) = rig.nodes("lamppost")
    by_file(rig, node, (EVENT + DOOR, 1))
    assert rig.kinds() == ["door"]
    rig.now = 60
    by_file(rig, node, (EVENT + DOOR, 0))
    assert rig.kinds() == ["door"]
    rig.say(node, (59, [(EVENT + DOOR, 0)]))
    assert rig.kinds() == [], "the node's own word is none that came late"


def test_attack_a_file_ends_no_alarm_of_a_rule(rig: AlarmRig) -> None:
    (node,) = rig.nodes("drainage")
    for hour, level in enumerate((1000, 3000)):
        rig.now = hour * HOUR
        by_file(rig, node, (LEVEL, level))
    raised = rig.kinds()
    assert "flood.rise" in raised
    for hour in range(2, 8):
        rig.now = hour * HOUR
        by_file(rig, node, (LEVEL, 3000))
    assert rig.kinds() == raised


def test_attack_a_file_is_no_sign_of_life(rig: AlarmRig) -> None:
    (node,) = rig.nodes("drainage")
    rig.series(node, LEVEL, [(0, 1000)])
    rig.now = SILENT_S - HOUR
    by_file(rig, node, (LEVEL, 1001))
    with rig.database.read() as session:
        assert registry.show_node(session, node).last_report_us == START * 1_000_000
    rig.now = SILENT_S + 1
    rig.tick()
    silent = {"flood.silent", "flood.level-missing"}
    assert set(rig.kinds()) == silent
    by_file(rig, node, (LEVEL, 1002))
    assert set(rig.kinds()) == silent
