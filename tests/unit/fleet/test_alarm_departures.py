"""A node that leaves its place leaves no alarm there that nobody could end."""

from pathlib import Path

import pytest
from alarm_rig import EVENT, START, STREET, AlarmRig
from sqlalchemy import func, select

from fleet.alarms import acts, departures, operations
from fleet.alarms.tables import WatchState
from fleet.registry.acts import Act, Install, Swap, new_id
from fleet.registry.labels import LabelText
from fleet.wire.quantity import EVENTS, LEVEL

SILENT_S = 14 * 3600


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AlarmRig:
    return AlarmRig(tmp_path, monkeypatch)


def do(rig: AlarmRig, act: Act) -> None:
    with rig.database.begin() as session:
        departures.take_in(session, act)


def silent(rig: AlarmRig, node: str) -> None:
    """A node with two alarms of its events, one of the fleet's, and two of what is missing."""
    code = {name: number for number, name in EVENTS.items()}
    rig.say(node, (0, [(EVENT + code["cover"], 1)]), (0, [(EVENT + code["battery_low"], 1)]))
    rig.series(node, LEVEL, [(0, 1000)])
    with rig.database.begin() as session:
        operations.raise_alarm(session, "rotation", node)
    rig.now = SILENT_S + 1
    rig.tick()
    assert len(rig.kinds()) == 5


def watched(rig: AlarmRig) -> int:
    with rig.database.read() as session:
        return session.scalar(select(func.count()).select_from(WatchState)) or 0


def test_a_node_that_is_swapped_takes_its_alarms_along(rig: AlarmRig) -> None:
    old, new = rig.nodes("drainage", 2)
    silent(rig, old)
    at_us = (START + SILENT_S) * 1_000_000
    do(rig, Swap(new_id(), at_us, "Chen", LabelText(old), LabelText(new), "", ""))
    assert rig.kinds() == ["rotation"], "the fleet's own"
    assert watched(rig) == 0
    cover = next(each for each in rig.alarms(history=True) if each.kind == "cover")
    with rig.database.read() as session:
        assert f"node {old} was replaced" in acts.of(session, cover.id)[-1].text
    rig.series(new, LEVEL, [(SILENT_S + 2, 1000)])
    assert watched(rig) > 0, "and what the new one says is waited for again"


def test_a_node_that_is_moved_takes_them_too(rig: AlarmRig) -> None:
    (node,) = rig.nodes("drainage")
    silent(rig, node)
    at_us = (START + SILENT_S) * 1_000_000
    do(rig, Install(new_id(), at_us, "Chen", LabelText(node), "Manhole 17", STREET))
    assert rig.kinds() == ["rotation"]


def test_a_node_that_is_revoked_is_missed_no_more(rig: AlarmRig) -> None:
    (node,) = rig.nodes("drainage")
    silent(rig, node)
    with rig.database.begin() as session:
        departures.gone(session, node)
    assert (rig.kinds(), watched(rig)) == (["rotation"], 0)


def test_the_alarms_of_another_asset_stay(rig: AlarmRig) -> None:
    one, two = rig.nodes("drainage", 2)
    silent(rig, one)
    with rig.database.begin() as session:
        departures.gone(session, two)
    assert len(rig.kinds()) == 5
