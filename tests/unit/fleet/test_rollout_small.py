"""Small fleets, small canaries, small stages: a bad release stops there too."""

from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import FAST, Fleet

from fleet.rollouts import gate, lifecycle, states, weighing
from fleet.rollouts.tables import Update


def played(
    folder: Path, patch: pytest.MonkeyPatch, nodes: int, bad_from: int = 1, **plan: object
) -> tuple[str, int]:
    """How a rollout ends whose release fails at every node from a place on, and at how many."""
    fleet = Fleet(folder, nodes)
    for name in rig.CLOCKS:
        patch.setattr(name, fleet.clock)
    try:
        fleet.create(**{**FAST, "sample": 50, **plan})
        fleet.do("start")
        for _ in range(60):
            fleet.tick(6 * 3600)
            for row in fleet.updates(Update.open_for.is_not(None)):
                fleet.move(
                    [row.id], states.ROLLED_BACK if row.place >= bad_from else states.SUCCEEDED
                )
            if fleet.row().state != lifecycle.RUNNING:
                break
        fleet.check()
        return fleet.row().state, len(fleet.updates(Update.state == states.ROLLED_BACK))
    finally:
        fleet.close()


@pytest.mark.parametrize(
    ("nodes", "bad_from", "plan"),
    [
        (100, 1, {"canary": 2}),
        (100, 1, {"canary": 10}),
        (100, 11, {"canary": 10}),
        (40, 11, {"canary": 10}),
        (40, 11, {"canary": 10, "stages": (5,) * 20}),  # no group of it has three nodes
        (100, 30, {"canary": 10}),
        (4, 1, {"canary": 4}),
        (4, 1, {"canary": 1}),
    ],
)
def test_a_bad_release_stops_before_twice_the_canary_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nodes: int, bad_from: int,
    plan: dict[str, object],
) -> None:  # fmt: skip
    state, failures = played(tmp_path, monkeypatch, nodes, bad_from, **plan)
    assert state == lifecycle.STOPPED
    assert failures <= 2 * int(str(plan["canary"]))


def test_with_the_plan_that_is_given_by_itself_four_nodes_stop_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert played(tmp_path, monkeypatch, 4)[0] == lifecycle.STOPPED


def test_one_that_fails_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert played(tmp_path, monkeypatch, 40, 40, canary=10) == (lifecycle.FINISHED, 1)


def test_sabotage_by_the_sample_alone_all_of_a_small_fleet_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_FEW", 10**6)
    assert played(tmp_path, monkeypatch, 40, 11, canary=10) == (lifecycle.FINISHED, 30)


def test_sabotage_each_group_alone_lets_many_small_ones_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = weighing.Weighing._several
    monkeypatch.setattr(weighing.Weighing, "_several", lambda self: several(self)[:1])
    found = played(tmp_path, monkeypatch, 40, 11, canary=10, stages=(5,) * 20)
    assert found == (lifecycle.FINISHED, 30)
