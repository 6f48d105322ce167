"""One person tries to put a release onto meters with valves alone: under other spellings of a
name, under one account, without an approval, or by changing what was approved.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import LI, WANG, Fleet

from fleet.control.errors import ControlError
from fleet.rollouts import lifecycle
from fleet.rollouts.errors import RolloutError


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    made = Fleet(tmp_path, 20, "gas-meter")
    for name in rig.CLOCKS:
        monkeypatch.setattr(name, made.clock)
    made.create("role = gas-meter", canary=20)
    yield made
    assert made.offers.given == []
    made.close()


def nothing_goes_out(fleet: Fleet) -> None:
    for _ in range(3):
        assert fleet.tick(3600).offered == 0


@pytest.mark.parametrize(
    "name", [LI, "li wei", " LI  WEI ", "\uff2c\uff49 \uff37\uff45\uff49", "L\u0456 Wei"]
)
def test_the_same_person_under_another_spelling(fleet: Fleet, name: str) -> None:
    """The last two: full-width letters, and one of another alphabet."""
    with pytest.raises((RolloutError, ControlError)):
        fleet.do("approve", by=name, account="of Wang")
    nothing_goes_out(fleet)


def test_another_name_under_the_same_account(fleet: Fleet) -> None:
    with pytest.raises(RolloutError, match="another account"):
        fleet.do("approve", by=WANG, account=f"of {LI}")
    nothing_goes_out(fleet)


def test_without_an_approval_by_a_retry(fleet: Fleet) -> None:
    with pytest.raises(RolloutError):
        fleet.retry()
    assert fleet.row().state == lifecycle.WAITING


@pytest.mark.parametrize("act", ["start", "resume", "pause"])
def test_without_an_approval(fleet: Fleet, act: str) -> None:
    with pytest.raises(RolloutError):
        fleet.do(act)
    nothing_goes_out(fleet)


def test_what_is_urgent_needs_it_too(fleet: Fleet) -> None:
    fleet.create("role = gas-meter", "fast", urgent=True)
    with pytest.raises(RolloutError, match="waits for a second person"):
        fleet.do("start", "fast")
    nothing_goes_out(fleet)


def test_what_was_approved_cannot_be_made_anew_under_its_name(fleet: Fleet) -> None:
    fleet.do("approve", by=WANG, account="of Wang")
    before = [row.node_id for row in fleet.updates()]
    with pytest.raises(RolloutError, match="there is a rollout one already"):
        fleet.create("all", canary=1)
    with pytest.raises(RolloutError, match="was approved by"):
        fleet.do("approve", by="Zhao Min", account="of Zhao")
    assert [row.node_id for row in fleet.updates()] == before
    assert fleet.row().state == lifecycle.READY
    nothing_goes_out(fleet)


def test_nodes_that_join_after_the_approval_are_not_in_it(fleet: Fleet) -> None:
    fleet.do("approve", by=WANG, account="of Wang")
    fleet.now += rig.HOUR_US
    joined = fleet.add(3, "gas-meter")
    fleet.do("start")
    for _ in range(5):
        fleet.tick()
    assert not set(joined) & set(fleet.offers.given)
    assert len(fleet.offers.given) == 20
    fleet.offers.given = []


def test_sabotage_without_the_look_at_the_release_one_person_is_enough(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet.rollouts import target

    monkeypatch.setattr(target, "VALVE_ROLES", ())
    assert not fleet.create("role = gas-meter", "alone").waits
    fleet.do("start", "alone")
    assert fleet.tick().offered == 20
    fleet.offers.given = []
