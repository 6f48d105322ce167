"""Offers: what is assigned to whom and in which form, signed at hand-over, taken back."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig
import pytest
from coap_rig import WRAPPER
from updates_rig import DAY_S, NEW, OLD, City, image, image_name

from fleet.identity import hmac_keys
from fleet.registry import operations as registry
from fleet.registry.operations import now_us
from fleet.updates import parts, stamping
from fleet.wire import command, release

APPLICATION, RUNTIME_PART, PACK, MODEM = range(4)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    made = City(tmp_path)
    yield made
    made.close()


def test_a_node_gets_the_whole_image_signed_for_a_week(city: City) -> None:
    city.roll_out()
    node = city.node()
    assert node.report() == [command.DONE]
    assert node.job is not None
    number, assignment = node.job
    assert (number, assignment.sequence) == (1, NEW)
    ((kind, form, _size, base),) = assignment.parts
    assert (kind, form, base) == (APPLICATION, release.DEFLATED, b"")
    assert abs(assignment.expiry - now_us() // 1_000_000 - 7 * DAY_S) < 60
    (queued,) = fleet_rig.query(city.path, "SELECT payload FROM downlinks")
    assert len(queued[0]) < release.MAC, "nothing in the queue is worth stealing"


def test_a_node_that_told_what_it_runs_gets_the_proved_delta_from_it(city: City) -> None:
    city.with_delta()
    node = city.node()
    node.report()
    city.roll_out()
    assert node.report() == [command.DONE]
    assert node.job is not None
    base = image_name(city.images[OLD])
    assert node.job[1].parts == [(APPLICATION, release.DELTA, len(city.patch), base)]
    stream = node.fetch()
    assert isinstance(stream, bytes)
    assert stream.endswith(city.patch)


def test_a_development_build_gets_the_whole_image(city: City) -> None:
    city.with_delta()
    node = city.node()
    node.status |= {17: 0, 18: 4711}
    node.report()
    city.roll_out()
    node.report()
    assert node.job is not None
    assert node.job[1].parts[0][1] == release.DEFLATED


def test_a_delta_that_is_no_smaller_is_not_used() -> None:
    data = image(3)
    component = release.Component(APPLICATION, len(data), bytes(32), 0)
    manifest = release.Manifest(
        1, bytes(16), bytes(16), "", "", (0, 1), (0, 1), [component], [], 1
    )
    patch = bytes(len(parts.deflated(data)))
    chosen = parts.choose(manifest, lambda _kind: data, (bytes(8), patch))
    assert chosen.parts[0][1] == release.DEFLATED


def test_a_runtime_goes_first_where_its_blocks_are_whole_units(city: City) -> None:
    contents = {
        APPLICATION: image(4), RUNTIME_PART: image(5), PACK: b"pack", MODEM: b"firmware",
    }  # fmt: skip
    city.publish(9, contents)
    city.roll_out(9)
    node = city.node()
    node.report()
    assert node.job is not None
    given = node.job[1]
    assert (given.size - sum(size for _kind, _form, size, _base in given.parts)) % 16 == 0
    shape = [(kind, form) for kind, form, _size, _base in given.parts]
    assert shape == [
        (RUNTIME_PART, release.PLAIN), (PACK, release.PLAIN), (MODEM, release.FETCHED),
        (APPLICATION, release.DEFLATED),
    ]  # fmt: skip


def test_without_a_key_a_node_is_not_offered(city: City) -> None:
    with city.database.begin() as session:
        bare = fleet_rig.new_node_id()
        registry.add_node(session, bare, "gas-meter", fleet_rig.AREA)
    city.nodes.append(bare)
    assert len(city.roll_out()) == 1


def test_a_draft_is_not_offered(city: City) -> None:
    city.publish(10, {APPLICATION: image(6)}, state="released")
    assert city.roll_out(10) == []


def test_a_release_that_is_revoked_meanwhile_is_not_handed_over(city: City) -> None:
    city.roll_out()
    city.revoke()
    node = city.node()
    assert node.report() == []
    assert node.job is None


def test_what_was_not_handed_over_is_taken_back_silently(city: City) -> None:
    ids = city.roll_out()
    city.withdraw(ids)
    node = city.node()
    assert node.report() == []
    assert fleet_rig.query(city.path, "SELECT count(*) FROM downlinks") == [(1,)]


def test_what_was_handed_over_is_taken_back_by_a_word(city: City) -> None:
    ids = city.roll_out()
    node = city.node()
    node.report()
    assert node.job is not None
    city.withdraw(ids)
    assert node.report() == [command.DONE]
    assert node.job is None
    assert node.handled == 2


def test_an_answer_that_was_lost_is_given_again_under_its_number(city: City) -> None:
    city.roll_out()
    node = city.node()
    node.report()
    node.job, node.handled = None, 0  # it never came
    assert node.report() == [command.DONE]
    assert node.job is not None
    assert node.job[0] == 1


def test_a_board_with_the_next_key_gets_it_signed_by_that_one(city: City) -> None:
    city.roll_out()
    node = city.node()
    with city.database.begin() as session:
        node.key = bytes(hmac_keys.next_key(session, WRAPPER, node.node_id))
    assert node.report() == [command.FORGED]
    assert node.report((1, command.FORGED, 0)) == [command.DONE]


def test_an_assignment_of_another_node_or_number_is_forged(city: City) -> None:
    city.roll_out()
    node, other = city.node(), city.node()
    with city.database.begin() as session:
        given = stamping.stamped(session, WRAPPER, [(node.node_id, 1)], now_us())
    payload = given[node.node_id, 1]
    assert payload is not None
    other.node_id = fleet_rig.new_node_id()
    assert other.take(1, payload) == command.FORGED
    assert node.take(2, payload) == command.FORGED
    assert node.take(1, payload) == command.DONE


def test_a_release_that_expired_is_not_offered(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("updates_rig.now_us", lambda: 2_000_000_000 * 1_000_000)
    assert city.roll_out() == []
