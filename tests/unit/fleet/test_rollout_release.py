"""What of its release a rollout looks at: what it needs, its deltas, its end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from rollout_rig import LI, SECOND_US, Fleet
from sqlalchemy import update

from fleet.releases import deltas, workshop
from fleet.releases.errors import ReleaseError
from fleet.releases.tables import Delta
from fleet.rollouts import joiners, lifecycle, preview, states, tick
from fleet.rollouts.plan import Plan
from fleet.rollouts.wording import excluded_text, reason_text, state_text
from fleet.updates import outcomes
from fleet.updates.tables import Running
from fleet.wire import release as wire

BASE = bytes(8)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    yield from rig.fleets(tmp_path, monkeypatch, 10)


def started(fleet: Fleet, sequence: int = 5, *, late: bool = False) -> None:
    fleet.create(sequence=sequence, canary=5, per_minute=100, most_per_minute=100, late=late)
    fleet.do("start")


def wanted(fleet: Fleet) -> None:
    """A delta from release 4 to 5 is being made."""
    with fleet.database.begin() as session:
        rig.add_release(session, 4)
        session.add(
            Delta(
                sequence=5, base=BASE, base_sequence=4, state="preparing", patch=None, reason="",
                changed_us=fleet.now,
            )
        )  # fmt: skip


def test_no_offer_goes_out_before_the_deltas_are_made(fleet: Fleet) -> None:
    wanted(fleet)
    started(fleet)
    fleet.tick()
    assert (fleet.offers.given, fleet.row().why) == ([], "delta")
    assert "deltas" in state_text("running", "delta", "en")
    with fleet.database.begin() as session:
        deltas.done(session, 5, BASE, b"patch", fleet.now)
    fleet.tick()
    assert len(fleet.offers.given) == 5
    assert fleet.row().why == ""


def test_deltas_that_do_not_come_are_not_waited_for_for_ever(fleet: Fleet) -> None:
    wanted(fleet)
    started(fleet)
    fleet.tick()
    fleet.tick(after_s=tick.DELTAS_US / SECOND_US)
    assert len(fleet.offers.given) == 5


def test_where_no_delta_can_be_made_none_is_waited_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "can", lambda: False)
    wanted(fleet)
    started(fleet)
    fleet.tick()
    assert len(fleet.offers.given) == 5


def test_nodes_that_lack_what_it_needs_are_left_out(fleet: Fleet) -> None:
    needs = [(wire.APPLICATION, 4), (wire.RUNTIME, 1 << 16 | 29 << 8), (wire.KEYS, 2)]
    with fleet.database.begin() as session:
        rig.add_release(session, 6, needs=needs)
        for node_id, values in (
            (fleet.nodes[0], {"sequence": 3}),
            (fleet.nodes[1], {"runtime": 1 << 16 | 28 << 8}),
            (fleet.nodes[2], {"runtime": 1 << 16 | 29 << 8}),
        ):
            session.execute(update(Running).where(Running.node_id == node_id).values(**values))
    with fleet.database.read() as session:
        found = preview.preview(session, 6, "role = drainage", Plan(), fleet.now)
    (needed,) = found.excluded
    assert (needed.reason, needed.nodes, found.nodes) == ("needs", 2, 8)
    assert "needs" in excluded_text(needed, "en")


def test_what_is_not_there_yet_may_be_the_next_time() -> None:
    assert outcomes.end_of(wire.MISSING, 0) == (states.FAILED, "missing")


def test_a_release_that_expired_is_offered_no_more(fleet: Fleet) -> None:
    """Each node would answer that its time is over, again and again."""
    end_s = fleet.now // SECOND_US + 3600
    with fleet.database.begin() as session:
        rig.add_release(session, 6, expiry=end_s)
    fleet.sequence = 6
    started(fleet, 6, late=True)
    fleet.tick()
    assert len(fleet.offers.given) == 5
    fleet.tick(after_s=joiners.EVERY_US / SECOND_US + 3600)
    fleet.move(fleet.open_ids(), states.SUCCEEDED)
    for _ in range(5):
        fleet.tick()
    assert len(fleet.offers.given) == 5
    ends = [(row.state, row.reason) for row in fleet.updates()]
    assert ends == [("succeeded", "")] * 5 + [("removed", "expired")] * 5
    assert reason_text("expired", "en") != "expired"
    with pytest.raises(ReleaseError, match="expired"):
        fleet.create(name="two", sequence=6)


def test_one_that_expired_before_its_start_is_not_started(fleet: Fleet) -> None:
    with fleet.database.begin() as session:
        rig.add_release(session, 6, expiry=fleet.now // SECOND_US + 60)
    fleet.create(sequence=6, by=LI)
    fleet.now += 60 * SECOND_US
    with pytest.raises(ReleaseError, match="expired"):
        fleet.do("start")
    assert fleet.row().state == lifecycle.READY
