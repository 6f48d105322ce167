"""Updates moved by anybody to anywhere in any order: what may not be changes nothing, ends are
ends, one is in flight for a node, and what is counted is what there is.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import rollout_rig as rig
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rollout_rig import Fleet
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from fleet.rollouts import moves, states
from fleet.rollouts.errors import MoveError
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, RolloutCohort, RolloutCount, RolloutGroup, Update

DAY_US = rig.DAY_US


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.close()


def begin(fleet: Fleet, nodes: int = 2, rollouts: int = 2) -> list[int]:
    """Rollouts of one group each over the same nodes; the ids of the updates."""
    names = [f"node{number:06}" for number in range(nodes)]
    with fleet.database.begin() as session:
        for table in (Update, RolloutCohort, RolloutCount, RolloutGroup, Rollout):
            session.query(table).delete()
        for number in range(1, rollouts + 1):
            session.add(
                Rollout(
                    id=number, name=f"r{number}", sequence=number, query="all", plan="{}",
                    state="running", why="", urgent=False, valve=False, asked_by="", asked_us=0,
                    asked_account="", total=nodes, group_no=1, joined_us=0, budget=0, budget_us=0,
                )
            )  # fmt: skip
            session.flush()
            session.add(
                RolloutGroup(rollout_id=number, number=1, name="canary", state="open",
                             total=nodes, errors=0)
            )  # fmt: skip
            session.add(
                RolloutCount(rollout_id=number, group_no=1, state=states.SCHEDULED, count=nodes)
            )
            session.execute(
                insert(Update),
                [
                    {
                        "rollout_id": number, "group_no": 1, "place": place, "node_id": name,
                        "cell": "", "sequence": number, "state": states.SCHEDULED, "reason": "",
                        "due_us": 0, "mark": 0, "attempts": 0, "history": "",
                    }
                    for place, name in enumerate(names, 1)
                ],
            )  # fmt: skip
        return list(session.scalars(select(Update.id).order_by(Update.id)))


def cohorts(fleet: Fleet) -> tuple[int, int, int]:
    with fleet.database.read() as session:
        rows = list(session.scalars(select(RolloutCohort)))
    for row in rows:
        assert 0 <= row.good + row.bad <= row.offered
    return (sum(r.offered for r in rows), sum(r.good for r in rows), sum(r.bad for r in rows))


step = st.tuples(
    st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True),
    st.sampled_from(states.ALL),
    st.sampled_from(list(Actor)),
    st.sampled_from([0, 1, 3600, 86400]),
    st.one_of(st.none(), st.integers(0, 5000)),
)


@given(st.lists(step, max_size=40))
@hypothesis_settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_in_any_order(
    fleet: Fleet, steps: list[tuple[list[int], str, Actor, int, int | None]]
) -> None:
    ids = begin(fleet)
    for places, to, actor, passes, mark in steps:
        fleet.now += passes * 1_000_000
        chosen = [ids[place] for place in places]
        before = {row.id: row for row in fleet.updates()}
        if not states.ever(actor, to):
            with pytest.raises(MoveError):
                fleet.move(chosen, to, actor)
            continue
        moved = fleet.move(chosen, to, actor, mark=mark)
        after = {row.id: row for row in fleet.updates()}
        assert set(moved) <= set(chosen)
        for identifier, old in before.items():
            new = after[identifier]
            if identifier in moved:
                assert states.may(actor, old.state, to)
                assert new.state == to
                assert new.moved_us == fleet.now
            else:
                assert (new.state, new.history, new.step_us) == (
                    old.state, old.history, old.step_us,
                )  # fmt: skip
            if old.absolute_us is not None and new.state in states.OPEN:
                assert new.absolute_us == old.absolute_us  # it never moves while one is open
            if actor is Actor.NODE:
                assert new.attempts - old.attempts in (0, 1)
            if old.state in (states.REJECTED, *states.GOOD, states.REMOVED, states.SUPERSEDED):
                assert new.state == old.state  # a second end is none
        fleet.check()
    offered, good, bad = cohorts(fleet)
    flying = len(fleet.open_ids())
    assert offered - good - bad == flying


def test_a_node_only_goes_forward(fleet: Fleet) -> None:
    first, *_ = begin(fleet)
    fleet.move([first], states.OFFERED, Actor.FLEET)
    assert fleet.move([first], states.VERIFIED) == [first]
    assert fleet.move([first], states.DOWNLOADING, mark=4000) == []  # it came out of order
    assert fleet.move([first], states.VERIFIED) == []  # no news
    assert fleet.move([first], states.SUCCEEDED) == [first]
    assert fleet.move([first], states.FAILED) == []


def test_a_higher_mark_is_news_and_a_lower_one_is_not(fleet: Fleet) -> None:
    first, *_ = begin(fleet)
    fleet.move([first], states.OFFERED, Actor.FLEET)
    fleet.move([first], states.DOWNLOADING, mark=512)
    fleet.now += DAY_US
    assert fleet.move([first], states.DOWNLOADING, mark=512) == []
    (row,) = fleet.updates(Update.id == first)
    before = row.step_us
    assert fleet.move([first], states.DOWNLOADING, mark=1024) == [first]
    (row,) = fleet.updates(Update.id == first)
    assert row.step_us is not None
    assert before is not None
    assert row.step_us == before + DAY_US
    assert row.history.count("\n") == 2  # marks leave no line: there may be thousands


def test_one_update_is_in_flight_for_a_node(fleet: Fleet) -> None:
    ids = begin(fleet, nodes=1)
    assert fleet.move(ids, states.OFFERED, Actor.FLEET) == ids[:1]
    assert fleet.move(ids[1:], states.OFFERED, Actor.FLEET) == []
    fleet.move(ids[:1], states.SUCCEEDED)
    assert fleet.move(ids[1:], states.OFFERED, Actor.FLEET) == ids[1:]


def test_sabotage_without_the_look_the_constraint_still_keeps_it_so(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "_free", lambda _session, rows: rows)
    ids = begin(fleet, nodes=1)
    with pytest.raises(IntegrityError):
        fleet.move(ids, states.OFFERED, Actor.FLEET)
    assert fleet.open_ids() == []


def test_sabotage_without_the_table_a_late_end_undoes_a_good_one(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "may", lambda *_: True)
    first, *_ = begin(fleet)
    fleet.move([first], states.OFFERED, Actor.FLEET)
    fleet.move([first], states.SUCCEEDED)
    assert fleet.move([first], states.FAILED) == [first]


def test_the_history_is_bounded_but_for_the_end(fleet: Fleet) -> None:
    first, *_ = begin(fleet)
    for _ in range(100):
        fleet.move([first], states.OFFERED, Actor.FLEET)
        fleet.move([first], states.SCHEDULED, Actor.FLEET)
    fleet.move([first], states.CANCELED, Actor.PERSON)
    (row,) = fleet.updates(Update.id == first)
    assert len(row.history) < moves.MOST_HISTORY + 200
    assert row.history.endswith(" canceled person \n")


def test_who_may_what() -> None:
    """The table as a whole: each actor's ends, and nothing that undoes an end but a retry."""
    for actor in Actor:
        for before in states.ALL:
            for after in states.ALL:
                if not states.may(actor, before, after):
                    continue
                if before in states.FINAL:
                    assert after == states.SCHEDULED
                    assert actor is not Actor.NODE
                if actor is Actor.NODE:
                    assert before in states.OPEN
                    assert after not in (states.LOST, states.TIMED_OUT, states.CANCELED)
                if actor is Actor.PERSON:
                    assert after in (states.CANCELED, states.SCHEDULED)
    for state in states.OPEN:  # nothing in flight that cannot be ended by everybody
        assert states.may(Actor.FLEET, state, states.LOST)
        assert states.may(Actor.PERSON, state, states.CANCELED)
        assert states.may(Actor.NODE, state, states.FAILED)
    assert not any(states.may(actor, states.REJECTED, after) for actor in Actor
                   for after in states.ALL)  # fmt: skip
