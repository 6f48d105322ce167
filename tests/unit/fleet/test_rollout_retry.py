"""What failed is tried again: by itself, or when a person wants it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import DAY_US, FAST, Fleet

from fleet.rollouts import lifecycle, states
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 100)


def test_retry_takes_the_failed_alone_and_goes_on(fleet: Fleet) -> None:
    fleet.create(canary=10, retries=0, **FAST)
    fleet.do("start")
    fleet.tick()
    ids = fleet.open_ids()
    fleet.move(ids[:1], states.REJECTED)
    fleet.move(ids[1:4], states.FAILED)
    fleet.move(ids[4:], states.SUCCEEDED)
    fleet.tick()
    assert fleet.row().state == lifecycle.STOPPED
    with pytest.raises(RolloutError, match="kapok rollout retry"):
        fleet.do("resume")
    assert fleet.retry() == 3
    assert fleet.row().state == lifecycle.RUNNING
    fleet.tick()
    assert sorted(fleet.open_ids()) == sorted(ids[1:4])
    assert [row.attempts for row in fleet.updates(Update.id.in_(ids[1:4]))] == [0, 0, 0]
    fleet.check()
    fleet.play()
    assert fleet.row().state == lifecycle.FINISHED
    assert fleet.updates(Update.id == ids[0])[0].state == states.REJECTED


def test_what_failed_is_tried_again_by_itself_later_and_counts_until_it_succeeds(
    fleet: Fleet,
) -> None:
    fleet.create(canary=10, retries=1, **FAST)
    fleet.do("start")
    fleet.tick()
    first, *rest = fleet.open_ids()
    fleet.move([first], states.FAILED, reason="no-space")
    fleet.move(rest, states.SUCCEEDED)
    fleet.tick()
    assert fleet.groups()[0][3] == 1
    assert fleet.row().group_no == 1  # the canary is not done while one is to be tried again
    fleet.tick(6 * 3600)
    assert fleet.open_ids() == [first]
    assert fleet.groups()[0][3] == 1
    fleet.move([first], states.SUCCEEDED)
    assert fleet.groups()[0][3] == 0
    fleet.check()


def test_the_attempts_are_bounded(fleet: Fleet) -> None:
    fleet.create(canary=10, retries=1, **FAST)
    fleet.do("start")
    fleet.tick()
    first, *rest = fleet.open_ids()
    fleet.move(rest, states.SUCCEEDED)
    fleet.move([first], states.FAILED)
    for _ in range(3):
        fleet.tick(24 * 3600)
        fleet.move(
            [one for one in fleet.open_ids() if one == first], states.TIMED_OUT, Actor.FLEET
        )
    (row,) = fleet.updates(Update.id == first)
    assert (row.state, row.attempts, row.due_us) == (states.TIMED_OUT, 2, None)
    assert fleet.row().group_no > 1


def finished(fleet: Fleet, failed: int = 1) -> list[int]:
    """A rollout that is over; the updates of it that failed."""
    fleet.create(canary=10, retries=0, errors=500, stages=(100,), **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    fleet.tick(2 * 86400)
    ids = fleet.open_ids()[:failed]
    fleet.move(ids, states.ROLLED_BACK)
    fleet.play()
    assert fleet.row().state == lifecycle.FINISHED
    return ids


def test_a_finished_rollout_goes_on_with_what_failed(fleet: Fleet) -> None:
    ids = finished(fleet, 2)
    given = len(fleet.offers.given)
    fleet.now += 100 * DAY_US  # its time begins anew
    assert fleet.retry() == 2
    row = fleet.row()
    assert (row.state, row.ended_us, row.why) == (lifecycle.RUNNING, None, "")
    assert fleet.groups()[-1][1] == "open"
    fleet.tick()
    assert sorted(fleet.open_ids()) == sorted(ids)
    fleet.play()
    assert fleet.row().state == lifecycle.FINISHED
    assert len(fleet.offers.given) == given + 2
    fleet.check()


def test_a_finished_rollout_goes_on_only_where_something_failed_and_a_slot_is_free(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(fleet)
    with monkeypatch.context() as none:
        none.setattr(lifecycle, "AT_ONCE", 0)
        with pytest.raises(RolloutError, match="0 rollouts are active"):
            fleet.retry()
    assert fleet.row().state == lifecycle.FINISHED
    fleet.retry()
    fleet.play()
    with pytest.raises(RolloutError, match="is finished, and nothing of it can be tried again"):
        fleet.retry()


def test_after_a_retry_the_last_stage_offers_what_an_earlier_one_left(fleet: Fleet) -> None:
    fleet.create(canary=10, stages=(50, 50), retries=0, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    fleet.tick(2 * 86400)
    (first, *_) = fleet.open_ids()
    fleet.move([first], states.FAILED)
    while fleet.row().group_no < 3 or not fleet.open_ids():
        fleet.move(fleet.open_ids(), states.SUCCEEDED)
        fleet.tick(86400)
    assert fleet.retry() == 1
    fleet.play()
    assert fleet.row().state == lifecycle.FINISHED
    assert fleet.updates(Update.id == first)[0].state == states.SUCCEEDED


def test_what_was_refused_for_good_is_not_started_again(fleet: Fleet) -> None:
    """It would stop at the next look; and says so."""
    fleet.create(canary=10, retries=0, **FAST)
    fleet.do("start")
    fleet.tick()
    ids = fleet.open_ids()
    fleet.move(ids[:3], states.REJECTED)
    fleet.move(ids[3:4], states.FAILED)
    fleet.tick()
    assert fleet.row().state == lifecycle.STOPPED
    with pytest.raises(RolloutError, match="refused the release for good: kapok rollout cancel"):
        fleet.retry()
    assert fleet.row().state == lifecycle.STOPPED
    assert fleet.updates(Update.id == ids[3])[0].state == states.FAILED  # nothing of it was done


def test_of_many_that_failed_some_are_tried_again_at_a_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet.rollouts import retrying

    fleet.create(canary=8, retries=0, **FAST)
    fleet.do("start")
    fleet.tick()
    fleet.move(fleet.open_ids(), states.FAILED)
    fleet.tick()
    monkeypatch.setattr(retrying, "CHUNK", 4)  # no third time with nothing in it
    times = 0
    some = retrying._some

    def counted(*words: object, **more: object) -> tuple[int, bool]:
        nonlocal times
        times += 1
        return some(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(retrying, "_some", counted)
    assert fleet.retry() == 8
    assert times == 2
    assert fleet.row().state == lifecycle.RUNNING
    fleet.check()
