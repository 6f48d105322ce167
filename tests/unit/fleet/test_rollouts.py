"""A rollout from its making to its end: stages, what stops it, what persons do to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import DAY_US, FAST, HOUR_US, LI, WANG, Fleet

from fleet.registry.operations import set_state
from fleet.releases.errors import ReleaseError
from fleet.rollouts import lifecycle, states
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.tables import Update


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 100)


def test_a_good_release_reaches_everybody_stage_by_stage(fleet: Fleet) -> None:
    made = fleet.create(canary=10, stages=(10, 90), **FAST)
    assert made.nodes == 100
    assert not made.waits
    assert fleet.tick() == (0, 0, 0)  # nobody has started it
    fleet.do("start")
    fleet.tick()
    assert len(fleet.open_ids()) == 10
    assert {row.group_no for row in fleet.updates(Update.open_for.is_not(None))} == {1}
    fleet.tick()
    assert len(fleet.offers.given) == 10  # no more before the canary is done
    fleet.play()
    assert fleet.row().state == lifecycle.FINISHED
    assert [group[1:3] for group in fleet.groups()] == [("done", 10), ("done", 9), ("done", 81)]
    assert {row.state for row in fleet.updates()} == {states.SUCCEEDED}
    assert sorted(fleet.offers.given) == sorted(fleet.nodes)  # each once


def test_the_canary_of_a_bad_release_stops_it(fleet: Fleet) -> None:
    fleet.create(canary=10, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids()[:3], states.ROLLED_BACK, reason="crashed")
    fleet.tick()
    row = fleet.row()
    assert (row.state, row.why) == (lifecycle.STOPPED, "trip")
    assert len(fleet.offers.withdrawn) == 7  # no node had taken them
    assert fleet.open_ids() == []
    assert fleet.tick(DAY_US / 1e6).offered == 0
    fleet.check()


def test_what_nodes_have_taken_goes_on_when_it_stops(fleet: Fleet) -> None:
    fleet.create(canary=10, **FAST)
    fleet.do("start")
    fleet.tick()
    first, *rest = fleet.open_ids()
    fleet.move([first], states.ACCEPTED)
    fleet.move(rest[:3], states.REJECTED)
    fleet.tick()
    assert fleet.row().state == lifecycle.STOPPED
    assert fleet.open_ids() == [first]
    assert fleet.move([first], states.SUCCEEDED) == [first]


def test_pause_and_resume(fleet: Fleet) -> None:
    fleet.create(canary=10, **FAST)
    fleet.do("start")
    fleet.do("pause")
    assert fleet.tick().offered == 0
    fleet.do("resume")
    assert fleet.tick().offered == 10
    with pytest.raises(RolloutError, match="is running: only one that is paused is resumed"):
        fleet.do("resume")


def test_a_pause_takes_back_what_no_node_has_taken(fleet: Fleet) -> None:
    fleet.create(canary=10, **FAST)
    fleet.do("start")
    fleet.tick()
    first, *_ = fleet.open_ids()
    fleet.move([first], states.ACCEPTED)
    fleet.do("pause")
    fleet.tick(1)
    assert fleet.open_ids() == [first]
    assert len(fleet.offers.withdrawn) == 9
    fleet.tick(1)
    assert fleet.row().due_us is None
    fleet.do("resume")
    fleet.tick()
    assert len(fleet.open_ids()) == 10
    fleet.check()


def test_one_stop_for_all(fleet: Fleet) -> None:
    for name in ("one", "two"):
        fleet.create(name=name, canary=10, **FAST)
        fleet.do("start", name)
    with fleet.database.begin() as session:
        assert lifecycle.pause_all(session, WANG) == 2
    assert fleet.tick().offered == 0


def test_cancel_takes_back_what_is_out_and_ends_the_rest(fleet: Fleet) -> None:
    fleet.create(canary=10, **FAST)
    fleet.do("start")
    fleet.tick()
    done, taken, *_ = ids = fleet.open_ids()
    fleet.move([done], states.SUCCEEDED)
    fleet.move([taken], states.DOWNLOADING, mark=512)
    fleet.do("cancel")
    with pytest.raises(RolloutError, match="canceling already"):
        fleet.do("cancel")
    for _ in range(4):
        fleet.tick()
        fleet.check()
    assert fleet.row().state == lifecycle.CANCELED
    assert len(fleet.offers.withdrawn) == 9
    ends = [row.state for row in fleet.updates()]
    assert ends.count(states.SUCCEEDED) == 1
    assert ends.count(states.CANCELED) == 99
    assert fleet.move([taken], states.SUCCEEDED) == []  # too late: it is over
    assert len(ids) == 10


def test_a_valve_needs_a_second_person(fleet: Fleet) -> None:
    with fleet.database.begin() as session:
        rig.add_release(session, 6, "gas-meter")
    fleet.add(20, "gas-meter")
    assert fleet.create("role = gas-meter", sequence=6, **FAST).waits
    with pytest.raises(RolloutError, match="kapok rollout approve one"):
        fleet.do("start")
    with pytest.raises(RolloutError, match="another person approves"):
        fleet.do("approve", by="li  WEI", account="of Wang")
    with pytest.raises(RolloutError, match="another account"):
        fleet.do("approve", by=WANG, account=f"of {LI}")
    fleet.do("approve", by=WANG, account="of Wang")
    fleet.do("start")
    assert fleet.tick().offered == 20


def test_a_release_for_every_role_needs_a_second_person(fleet: Fleet) -> None:
    with fleet.database.begin() as session:
        rig.add_release(session, 6, "")
    assert fleet.create("all", sequence=6, **FAST).waits


def test_only_a_promoted_release_is_rolled_out(fleet: Fleet) -> None:
    with fleet.database.begin() as session:
        rig.add_release(session, 6, state="released")
    with pytest.raises(RolloutError, match="kapok release promote 6"):
        fleet.create(sequence=6)
    with pytest.raises(ReleaseError, match="no release 7"):
        fleet.create(sequence=7)


def test_a_release_that_is_revoked_takes_its_rollout_with_it(fleet: Fleet) -> None:
    from fleet.releases import store

    fleet.create(canary=10, **FAST)
    fleet.do("start")
    fleet.tick()
    with fleet.database.begin() as session:
        store.revoke(session, 5, LI, "it crashes", fleet.now)
    for _ in range(5):
        fleet.tick()
    row = fleet.row()
    assert (row.state, row.why) == (lifecycle.CANCELED, "revoked")
    assert len(fleet.offers.withdrawn) == 10


def test_so_many_at_once_and_one_slot_for_an_urgent_one(fleet: Fleet) -> None:
    for number in range(lifecycle.AT_ONCE):
        fleet.create(name=f"r{number}", canary=1, **FAST)
        fleet.do("start", f"r{number}")
    fleet.create(name="more", canary=1, **FAST)
    with pytest.raises(RolloutError, match="one slot more is kept for an urgent one"):
        fleet.do("start", "more")
    fleet.create(name="stop", canary=1, urgent=True, **FAST)
    fleet.do("start", "stop")
    fleet.create(name="stop2", canary=1, urgent=True, **FAST)
    with pytest.raises(RolloutError, match="11 rollouts are active"):
        fleet.do("start", "stop2")


def test_an_urgent_rollout_goes_before_what_is_in_flight(fleet: Fleet) -> None:
    fleet.create(canary=100, **FAST)
    fleet.do("start")
    fleet.tick()
    assert len(fleet.open_ids()) == 100
    with fleet.database.begin() as session:
        rig.add_release(session, 6)
    fleet.create(name="fix", sequence=6, canary=100, urgent=True, **FAST)
    fleet.do("start", "fix")
    fleet.tick()
    open_ones = fleet.updates(Update.open_for.is_not(None))
    assert {row.sequence for row in open_ones} == {6}
    assert {row.state for row in fleet.updates(Update.sequence == 5)} == {states.SUPERSEDED}
    fleet.check()


def test_another_rollout_waits_until_a_node_is_free(fleet: Fleet) -> None:
    with fleet.database.begin() as session:
        rig.add_release(session, 6)
    for name, sequence in (("one", 5), ("two", 6)):
        fleet.create(name=name, sequence=sequence, canary=100, **FAST)
        fleet.do("start", name)
    fleet.tick()
    assert {row.sequence for row in fleet.updates(Update.open_for.is_not(None))} == {5}
    assert {row.reason for row in fleet.updates(Update.sequence == 6)} == {"busy"}
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    fleet.tick(3600)
    assert {row.sequence for row in fleet.updates(Update.open_for.is_not(None))} == {6}


def test_an_older_release_passes_by_what_runs_a_newer_one(fleet: Fleet) -> None:
    fleet.create(canary=100, **FAST)
    with fleet.database.begin() as session:
        from fleet.updates.tables import Running

        session.get_one(Running, fleet.nodes[0]).sequence = 6
        session.get_one(Running, fleet.nodes[1]).sequence = 5
        set_state(session, fleet.nodes[2], "retired")
        set_state(session, fleet.nodes[3], "quarantined")
    fleet.do("start")
    fleet.tick()
    found = {row.node_id: (row.state, row.reason) for row in fleet.updates()}
    assert found[fleet.nodes[0]] == (states.SUPERSEDED, "newer")
    assert found[fleet.nodes[1]] == (states.ALREADY_INSTALLED, "")
    assert found[fleet.nodes[2]] == (states.REMOVED, "gone")
    assert found[fleet.nodes[3]] == (states.SCHEDULED, "state")
    assert len(fleet.open_ids()) == 96
    fleet.check()


def test_what_no_offer_can_be_made_to_is_in_nobodys_way(fleet: Fleet) -> None:
    fleet.create(canary=50, **FAST)
    fleet.offers.refused = set(fleet.nodes[:60])
    fleet.do("start")
    fleet.tick()
    waiting = fleet.updates(Update.reason == "no-offer")
    assert waiting
    assert all(row.due_us == fleet.now + HOUR_US for row in waiting)
    assert len(fleet.open_ids()) == 50 - len(waiting)
