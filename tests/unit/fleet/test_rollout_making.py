"""Making a rollout: names, interruptions, two at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import LI, Fleet

from fleet.rollouts import creating, filling, lifecycle
from fleet.rollouts.errors import RolloutError
from fleet.rollouts.plan import Plan


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 100)


def test_a_name_is_used_once_and_an_interrupted_making_is_made_whole(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet.rollouts import filling

    monkeypatch.setattr(filling, "CHUNK", 30)

    class Killed(Exception):
        pass

    def killed(done: int, _total: int) -> None:
        if done > 50:
            raise Killed

    from fleet.rollouts import creating
    from fleet.rollouts.plan import Plan

    wanted = creating.Wanted("one", 5, "all", Plan())
    with pytest.raises(Killed):
        creating.create(fleet.database, wanted, LI, account="x", progress=killed)
    assert len(fleet.updates()) == 60
    with pytest.raises(RolloutError, match="is creating"):
        fleet.do("start")
    fleet.do("cancel")
    for _ in range(3):
        fleet.tick()
    assert fleet.row().state == lifecycle.CANCELED
    assert fleet.updates() == []
    with pytest.raises(Killed):
        creating.create(
            fleet.database, wanted._replace(name="two"), LI, account="x", progress=killed
        )
    assert fleet.create("all", "two").nodes == 100
    assert len(fleet.updates()) == 100
    fleet.check()
    with pytest.raises(RolloutError, match="there is a rollout one already"):
        fleet.create()


def test_nobody_to_update_is_refused(fleet: Fleet) -> None:
    with pytest.raises(RolloutError, match="kapok rollout preview"):
        fleet.create("role = lamppost")


def test_of_two_who_make_one_name_at_once_the_first_is_told_so(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is approved is what the last one asked for, and nothing of the other is in it."""
    monkeypatch.setattr(filling, "CHUNK", 30)
    wanted = creating.Wanted("one", 5, "all", Plan())
    other = wanted._replace(query="area = 440106000")

    def between(done: int, _total: int) -> None:
        if done == 30:
            creating.create(fleet.database, other, LI, account="y")

    with pytest.raises(RolloutError, match="one is being made by another"):
        creating.create(fleet.database, wanted, LI, account="x", progress=between)
    row = fleet.row()
    assert (row.state, row.query, row.total) == (lifecycle.READY, "area = 440106000", 25)
    assert {update.cell for update in fleet.updates()} == {"440106000"}
    fleet.check()
