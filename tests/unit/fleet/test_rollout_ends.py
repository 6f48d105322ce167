"""A rollout always ends: what is left behind, who cannot be offered, late joiners, both clocks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import DAY_US, FAST, HOUR_US, Fleet

from fleet.rollouts import lifecycle, states
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.tables import Update


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 100)


def test_silent_nodes_are_lost_and_slow_ones_time_out(fleet: Fleet) -> None:
    fleet.create(canary=10, retries=0, **FAST)
    fleet.offers.step_s = 5 * 86400
    fleet.do("start")
    fleet.tick()
    silent, slow, *rest = fleet.open_ids()
    fleet.move(rest, states.SUCCEEDED)
    fleet.now += 2 * DAY_US
    fleet.move([slow], states.DOWNLOADING, mark=1024)
    fleet.now += 3 * DAY_US
    fleet.tick()
    (row,) = fleet.updates(Update.id == silent)
    assert (row.state, row.reason) == (states.LOST, "silent")
    assert fleet.updates(Update.id == slow)[0].state == states.DOWNLOADING
    fleet.now += 2 * DAY_US
    with fleet.database.begin() as session:
        from fleet.registry.tables import Terminal

        node = session.get_one(Update, slow).node_id
        session.get_one(Terminal, node).last_report_us = fleet.now
    fleet.tick()
    assert fleet.updates(Update.id == slow)[0].state == states.TIMED_OUT
    assert len(fleet.offers.withdrawn) == 2
    assert fleet.groups()[0][3] == 2
    fleet.check()


def test_the_absolute_clock_is_not_moved_by_news(fleet: Fleet) -> None:
    fleet.create(canary=1, retries=0, **FAST)
    fleet.do("start")
    fleet.tick()
    (one,) = fleet.open_ids()
    for day in range(1, 30):
        fleet.move([one], states.DOWNLOADING, mark=day)
        fleet.tick(86400)
        if not fleet.open_ids():
            break
    assert day == 14
    assert fleet.updates(Update.id == one)[0].state == states.TIMED_OUT


def test_what_is_not_reached_in_time_is_let_go(fleet: Fleet) -> None:
    fleet.create(canary=50, days=30, **FAST)
    fleet.offers.refused = set(fleet.nodes[:10])
    fleet.do("start")
    fleet.play()
    assert fleet.row().state == lifecycle.RUNNING
    fleet.tick(31 * 86400)
    fleet.play(rounds=5)
    assert fleet.row().state == lifecycle.FINISHED
    ends = {row.state for row in fleet.updates(Update.node_id.in_(fleet.nodes[:10]))}
    assert ends == {states.REMOVED}


def test_late_joiners_come_last_through_the_same_gate(fleet: Fleet) -> None:
    fleet.create(canary=50, late=True, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.now += HOUR_US
    late = fleet.add(5)
    fleet.tick(120)
    assert fleet.groups()[-1] == ("late", "waiting", 5, 0)
    assert not set(late) & set(fleet.offers.given)
    fleet.play()
    assert fleet.row().state == lifecycle.RUNNING  # it is open-ended
    assert set(late) <= set(fleet.offers.given)
    fleet.now += HOUR_US
    more = fleet.add(5) + fleet.add(3, "lamppost")
    fleet.play(rounds=3)
    assert fleet.groups()[-1] == ("late", "open", 10, 0)
    assert set(more[:5]) <= set(fleet.offers.given)
    assert len(fleet.offers.given) == 110


def test_late_joiners_come_until_its_time_is_over_and_then_it_ends(fleet: Fleet) -> None:
    fleet.create(canary=50, late=True, days=5, **FAST)
    fleet.do("start")
    fleet.play(rounds=10)
    fleet.now += 4 * DAY_US
    fleet.add(3)
    fleet.play(rounds=3)
    assert len(fleet.offers.given) == 103
    fleet.now += 2 * DAY_US
    late = fleet.add(3)
    fleet.play(rounds=2)
    row = fleet.row()
    assert (row.state, row.why) == (lifecycle.FINISHED, "")
    assert fleet.updates(Update.node_id.in_(late)) == []  # they are another rollout's


@pytest.mark.parametrize("left", ["failed", "no-offer"])
def test_what_an_earlier_stage_left_is_offered_when_the_last_one_has_ended(
    fleet: Fleet, left: str
) -> None:
    fleet.create(canary=10, stages=(50, 50), retries=2, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    stage = fleet.updates(Update.group_no == 2)
    if left == "no-offer":
        fleet.offers.refused = {stage[0].node_id}
    fleet.tick(2 * 86400)
    if left == "failed":
        fleet.move([stage[0].id], states.FAILED)
    for _ in range(10):
        fleet.move([one for one in fleet.open_ids() if one != stage[0].id], states.SUCCEEDED)
        fleet.tick(60)
    assert fleet.groups()[-1][1] == "open"
    assert fleet.row().state == lifecycle.RUNNING
    assert {row.state for row in fleet.updates(Update.id != stage[0].id)} == {states.SUCCEEDED}
    fleet.offers.refused = set()
    fleet.tick(7 * 3600)
    assert fleet.open_ids() == [stage[0].id]
    fleet.play(rounds=2)
    assert fleet.row().state == lifecycle.FINISHED
    fleet.check()


def test_what_failed_for_the_last_time_is_waited_for_by_nobody(fleet: Fleet) -> None:
    fleet.create(canary=10, retries=0, stages=(100,), **FAST)
    fleet.do("start")
    fleet.tick()
    first, *rest = fleet.open_ids()
    fleet.move([first], states.FAILED)
    fleet.move(rest, states.SUCCEEDED)
    fleet.tick()
    assert fleet.row().group_no == 2
    fleet.play()
    assert fleet.row().state == lifecycle.FINISHED
    assert fleet.updates(Update.due_us.is_not(None)) == []


def stuck(fleet: Fleet, count: int, days: int = 90) -> None:
    """All of a canary but so many succeed; those cannot be offered."""
    fleet.create(canary=10, days=days, **FAST)
    mine = fleet.updates(Update.group_no == 1)
    fleet.offers.refused = {row.node_id for row in mine[:count]}
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    fleet.tick()


@pytest.mark.parametrize(("count", "goes_on"), [(1, True), (5, True), (6, False), (10, False)])
def test_a_canary_goes_on_without_those_that_cannot_be_offered_while_half_have_ended(
    fleet: Fleet, count: int, goes_on: bool
) -> None:
    stuck(fleet, count)
    assert fleet.row().group_no == (2 if goes_on else 1)
    fleet.check()


def test_a_canary_waits_for_what_ends_by_itself(fleet: Fleet) -> None:
    """An area that is full has room in a while; and what failed is tried again."""
    fleet.create(canary=10, per_area=1, **FAST)
    fleet.do("start")
    for _ in range(2):
        fleet.tick(601)
        fleet.move(fleet.open_ids(), states.SUCCEEDED)
    assert len(fleet.updates(Update.state == states.SUCCEEDED)) == 8
    fleet.tick(10)
    assert fleet.row().group_no == 1
    fleet.tick(601)
    first, second = fleet.open_ids()
    fleet.move([first], states.SUCCEEDED)
    fleet.move([second], states.FAILED)
    fleet.tick()
    assert fleet.row().group_no == 1


def test_a_rollout_whose_time_is_over_before_all_were_reached_says_so(fleet: Fleet) -> None:
    stuck(fleet, 6, days=30)
    fleet.tick(31 * 86400)
    for _ in range(3):
        fleet.tick()
    row = fleet.row()
    assert (row.state, row.why) == (lifecycle.FINISHED, "too-late")
    assert [group[1] for group in fleet.groups()] == ["done", "never", "never", "never"]
    assert len(fleet.updates(Update.state == states.SUCCEEDED)) == 4
    fleet.check()
    with pytest.raises(RolloutError, match="nothing of it can be tried again"):
        fleet.retry()


def test_a_node_in_flight_when_the_time_is_over_may_still_end(fleet: Fleet) -> None:
    stuck(fleet, 1, days=1)
    fleet.tick()
    ids = fleet.open_ids()
    fleet.now += DAY_US
    fleet.move(ids, states.CONFIRMING)
    for _ in range(3):
        fleet.tick()
    assert fleet.open_ids() == ids
    assert fleet.row().state == lifecycle.RUNNING
    fleet.move(ids, states.SUCCEEDED)
    fleet.tick()
    row = fleet.row()
    assert (row.state, row.why) == (lifecycle.FINISHED, "too-late")
