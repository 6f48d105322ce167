"""What nodes tell moves their updates: by stage, by result, and by what they run in the end."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig
import pytest
from sqlalchemy import event
from updates_rig import NEW, OLD, City, Taker

from fleet import schema
from fleet.control import operations as control
from fleet.rollouts import states
from fleet.updates import deadlines, outcomes
from fleet.wire import command, release


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path)
    yield made
    made.close()


@pytest.fixture
def node(city: City) -> Taker:
    """One that has taken an assignment."""
    city.roll_out()
    made = city.node()
    made.report()
    return made


def state(city: City) -> tuple[str, str]:
    """State and reason of the only update."""
    ((found, reason, _mark),) = city.states()
    return found, reason


def test_an_update_goes_through_its_stages_to_the_end(city: City, node: Taker) -> None:
    seen = []
    for stage in range(release.ACCEPTED, release.CONFIRMING + 1):
        node.report(stage=stage, mark=1000 * stage)
        seen.append(city.states()[0])
    assert seen == [
        ("accepted", "", 1000), ("downloading", "", 2000), ("downloaded", "", 3000),
        ("verified", "", 4000), ("installing", "", 5000), ("confirming", "", 6000),
    ]  # fmt: skip
    node.runs(NEW)
    node.report(stage=release.CONFIRMING)
    assert state(city)[0] == states.CONFIRMING, "on trial is not installed"
    node.report((1, command.DONE, 0))
    assert state(city)[0] == states.SUCCEEDED
    assert fleet_rig.query(city.path, "SELECT result FROM assigned") == [(command.DONE,)]


def test_a_result_that_was_lost_is_seen_by_what_runs(city: City, node: Taker) -> None:
    node.runs(NEW)
    node.report()
    assert state(city)[0] == states.SUCCEEDED


def test_sabotage_the_sequence_alone_does_not_count(city: City, node: Taker) -> None:
    """A development build may say any number; its image is not the release's."""
    node.status |= {17: NEW}
    node.report()
    assert state(city)[0] == states.OFFERED


def test_where_it_runs_already_nothing_is_taken(city: City) -> None:
    city.roll_out()
    node = city.node()
    node.runs(NEW)
    node.report()
    assert state(city)[0] == states.ALREADY_INSTALLED


def test_a_stage_of_an_earlier_assignment_moves_nothing(city: City) -> None:
    ids = city.roll_out()
    node = city.node()
    node.report()
    city.withdraw(ids)
    city.roll_out(name="second")
    node.report(stage=release.VERIFIED, mark=999)  # it has not got the word yet
    assert [found for found, _, _ in city.states()] == [states.CANCELED, states.OFFERED]


@pytest.mark.parametrize(
    ("result", "detail", "end"),
    [
        (release.BAD_SIGNATURE, 0, (states.REJECTED, "bad-signature")),
        (release.OLDER, 0, (states.REJECTED, "older")),
        (release.WRONG_BOARD, 0, (states.REJECTED, "wrong-board")),
        (release.NO_SPACE, 5, (states.FAILED, "no-space")),
        (release.BAD_DIGEST, 0, (states.FAILED, "bad-digest")),
        (release.ROLLED_BACK, release.CRASHED, (states.ROLLED_BACK, "crashed")),
        (release.ROLLED_BACK, release.BOOTLOADER, (states.ROLLED_BACK, "bootloader")),
        (release.ALREADY, 0, (states.ALREADY_INSTALLED, "")),
        (command.REVERTED, 0, (states.ROLLED_BACK, "config-reverted")),
        (schema.BELOW, 0xFFFFFFFF, (states.REJECTED, "bad-configuration")),
        (schema.UNKNOWN, 0, (states.REJECTED, "bad-configuration")),
        (release.MODEM_FAILED, 1203, (states.FAILED, "modem-failed")),
        (201, 0, (states.FAILED, "failed")),
    ],
)
def test_each_result_has_its_end(
    city: City, node: Taker, result: int, detail: int, end: tuple[str, str]
) -> None:
    node.report((1, result, detail))
    assert state(city) == end


def test_every_result_of_the_wire_ends_somewhere() -> None:
    named = [getattr(release, name) for name in dir(release) if name.isupper()]
    for result in {n for n in named if isinstance(n, int) and 40 <= n <= 57}:
        end = outcomes.end_of(result, 0)
        assert end is not None
        assert end.state in states.FINAL
        assert end.reason != "failed", result
    assert outcomes.end_of(command.FORGED, 0) is None


def test_a_delta_that_does_not_fit_is_followed_by_the_whole_image(city: City) -> None:
    city.with_delta()
    node = city.node()
    node.report()
    city.roll_out()
    node.report()
    node.report((1, release.BASE_DIFFERS, 0))
    # The answer to that very report brought it already.
    assert state(city) == (states.OFFERED, "whole")
    assert node.job is not None
    assert node.job[0] == 2
    assert node.job[1].parts[0][1] == release.DEFLATED
    assert fleet_rig.query(city.path, "SELECT attempts FROM updates") == [(0,)]
    node.report((2, release.BAD_DELTA, 0))  # which cannot be, and must not go round for ever
    assert state(city)[0] == states.FAILED


def test_a_node_that_is_provisioned_anew_has_lost_its_job(city: City, node: Taker) -> None:
    with city.database.begin() as session:
        control.cancel(session, node.node_id)
    assert state(city) == (states.FAILED, "provisioned")
    assert node.fetch() == release.GONE


def test_a_second_result_changes_nothing(city: City, node: Taker) -> None:
    node.report((1, release.NO_SPACE, 0))
    node.report((1, command.DONE, 0))
    assert state(city)[0] == states.FAILED
    assert fleet_rig.query(city.path, "SELECT result FROM assigned") == [(release.NO_SPACE,)]


@pytest.mark.parametrize("result", [(1 << 40, 0, 0), (1, 999, 0), (1, 0, 1 << 40), (0, 0, 0)])
def test_impossible_words_change_nothing(
    city: City, node: Taker, result: tuple[int, int, int]
) -> None:
    node.report(result)
    assert state(city)[0] in states.OPEN


def test_impossible_numbers_in_a_status_change_nothing(city: City, node: Taker) -> None:
    node.status |= {17: 1 << 40, 18: 1 << 33}
    node.report(stage=200, mark=1 << 40)
    assert state(city)[0] == states.OFFERED
    assert fleet_rig.query(city.path, "SELECT sequence FROM running") == [(OLD,)]


def test_what_a_node_runs_is_written_when_it_changes(city: City) -> None:
    node = city.node()
    node.report()
    first = fleet_rig.query(city.path, "SELECT * FROM running")
    node.report()
    assert fleet_rig.query(city.path, "SELECT * FROM running") == first
    node.runs(NEW)
    node.report()
    assert fleet_rig.query(city.path, "SELECT sequence FROM running") == [(NEW,)]


def test_a_node_that_was_flashed_with_a_development_build_runs_no_release(city: City) -> None:
    node = city.node()
    node.report()
    del node.status[17]
    node.status[18] = 0xABCDEF
    node.report()
    assert fleet_rig.query(city.path, "SELECT sequence, image FROM running") == [(0, 0xABCDEF)]
    del node.status[18]  # the day's own status
    node.report()
    assert fleet_rig.query(city.path, "SELECT sequence, image FROM running") == [(0, 0xABCDEF)]


def test_nodes_without_an_update_cost_two_looks(tmp_path: Path) -> None:
    city = City(tmp_path, 20)
    nodes = [city.node(place) for place in range(20)]
    for each in nodes:
        each.report()
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "running" in statement or "updates" in statement or "assigned" in statement:
            asked.append(statement)

    event.listen(city.database.engine, "before_cursor_execute", note)
    nodes[0].report()
    assert len(asked) == 2, asked
    plan = fleet_rig.query(
        city.path, "EXPLAIN QUERY PLAN SELECT id FROM updates WHERE open_for IN ('a', 'b')"
    )
    assert "uq_updates_open_for" in str(plan)
    city.close()


def test_a_batch_of_nodes_moves_together(tmp_path: Path) -> None:
    city = City(tmp_path, 30)
    city.roll_out()
    nodes = [city.node(place) for place in range(30)]
    for each in nodes:
        each.report()
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if any(word in statement for word in ("running", "updates", "assigned", "rollout")):
            asked.append(statement)

    event.listen(city.database.engine, "before_cursor_execute", note)
    city.ingest.process([each.message(stage=release.VERIFIED, mark=900) for each in nodes])
    assert len(asked) < 12, asked
    assert set(city.states()) == {("verified", "", 900)}
    asked.clear()
    city.ingest.process([each.message((1, command.DONE, 0)) for each in nodes])
    assert set(city.states()) == {("succeeded", "", 900)}
    assert len(asked) < 12 + 30, asked  # and each result is kept
    city.close()


def test_a_failing_intake_costs_no_receipt(
    city: City, node: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("fleet.updates.intake.heard", broken)
    node.report(stage=release.VERIFIED)
    kinds = fleet_rig.query(city.path, "SELECT kind FROM alarms")
    assert kinds == [("ingest",)]


def test_the_clocks_of_an_update_grow_with_its_size_and_its_bearer() -> None:
    small, large = 2_000, 1_500_000
    for role in ("gas-meter", "drainage", "lamppost", "gateway"):
        assert deadlines.absolute_s(small, role) <= deadlines.absolute_s(large, role)
        assert deadlines.step_s(large, role) < deadlines.absolute_s(large, role)
        # Whatever its size, a trial may last as long as a node's own rule lets it.
        assert deadlines.step_s(small, role) > deadlines.TRIAL_S
    nb, cat1 = deadlines.NBIOT, deadlines.CAT1
    assert deadlines.transfer_s(40_000, nb) > 10 * deadlines.transfer_s(40_000, cat1)
    assert deadlines.absolute_s(large, "gas-meter") < 21 * deadlines.DAY_S
    assert deadlines.absolute_s(1, "unknown") >= deadlines.absolute_s(1, "lamppost")


def test_an_offer_sets_the_clocks(city: City) -> None:
    city.roll_out()
    ((offered, absolute, step),) = fleet_rig.query(
        city.path, "SELECT offered_us, absolute_us, step_s FROM updates"
    )
    size = fleet_rig.query(city.path, "SELECT size FROM assigned")[0][0]
    assert abs(absolute - offered - deadlines.absolute_s(size, "gas-meter") * 1_000_000) < 10**7
    assert step == deadlines.step_s(size, "gas-meter")
