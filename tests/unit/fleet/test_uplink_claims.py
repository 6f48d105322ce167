"""Claims: a number is struck in the transaction that stores what came with it, or nothing is."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from claim_rig import Node
from coap_rig import WRAPPER
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fleet.db.base import Database
from fleet.identity import oscore
from fleet.registry import operations as registry
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Claim, Message


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = rig.open_database(tmp_path)
    yield made
    made.close()


@pytest.fixture
def ingest(database: Database) -> Ingest:
    return Ingest(database, WRAPPER)


@pytest.fixture
def node(database: Database) -> Node:
    return Node(database, rig.add_nodes(database, 1)[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kapok.db"


def test_a_report_is_stored_and_its_number_struck(ingest: Ingest, node: Node, path: Path) -> None:
    sent = node.sends(rig.make_report(1, [1, 2]))
    (first,) = ingest.process([sent])
    assert (first.kind, first.receipt) == ("stored", None)
    (again,) = ingest.process([sent])
    assert (again.kind, again.receipt) == ("replayed", None)
    (sealed_again,) = ingest.process([node.sends(sent.payload)])
    assert (sealed_again.kind, sealed_again.receipt) == ("repeated", None)
    assert sorted(rig.stored(path)) == [(node.node_id, 1, 1), (node.node_id, 1, 2)]


def test_of_one_claim_twice_in_a_batch_the_first_wins(
    ingest: Ingest, node: Node, path: Path
) -> None:
    claim = node.claim()
    batch = [node.sends(rig.make_report(1, [n]), claim) for n in (1, 2)]
    assert rig.kinds(ingest.process(batch)) == ["stored", "replayed"]
    assert set(rig.stored(path)) == {(node.node_id, 1, 1)}


def test_a_replay_leaves_no_trace(
    database: Database, ingest: Ingest, node: Node, path: Path
) -> None:
    claim = node.claim()
    ingest.process([node.sends(rig.make_report(1, [1], {0: 5}), claim)])
    late = Message(node.node_id, rig.make_report(1, [2], {0: 9}), rig.NOW_US + 1, claim)
    junk = Message(node.node_id, b"junk", rig.NOW_US + 1, claim)
    assert rig.kinds(ingest.process([late, junk])) == ["replayed", "replayed"]
    with database.read() as session:
        shown = registry.show_node(session, node.node_id)
    assert (shown.status, shown.last_report_us) == ({"0": 5}, rig.NOW_US)
    assert rig.query(path, "SELECT * FROM dead_letters") == []


def test_polls_parts_and_refusals_strike_and_store_nothing(
    database: Database, ingest: Ingest, node: Node, path: Path
) -> None:
    poll, part = node.sends(b""), node.sends(None)
    assert rig.kinds(ingest.process([poll, part])) == ["polled", "struck"]
    assert rig.kinds(ingest.process([poll, part])) == ["replayed", "replayed"]
    with database.begin() as session:
        registry.set_state(session, node.node_id, "quarantined")
    batch = [node.sends(b""), node.sends(None), node.sends(rig.make_report(1, [1]))]
    assert rig.kinds(ingest.process(batch)) == ["refused"] * 3
    assert rig.kinds(ingest.process(batch)) == ["replayed"] * 3
    assert not rig.stored(path)


def test_junk_is_buried_once(ingest: Ingest, node: Node, path: Path) -> None:
    junk = node.sends(b"junk")
    assert rig.kinds(ingest.process([junk])) == ["undecodable"]
    assert rig.kinds(ingest.process([junk])) == ["replayed"]
    assert len(rig.query(path, "SELECT * FROM dead_letters")) == 1


def test_poison_is_buried_once_and_spoils_no_neighbour(
    database: Database, ingest: Ingest, node: Node, path: Path
) -> None:
    other = Node(database, rig.add_nodes(database, 1)[0])
    rig.without_its_asset(path, node.node_id)
    batch = [node.sends(rig.make_report(1, [1])), other.sends(rig.make_report(1, [2]))]
    assert rig.kinds(ingest.process(batch)) == ["poison", "stored"]
    assert rig.kinds(ingest.process(batch)) == ["replayed", "replayed"]
    assert set(rig.stored(path)) == {(other.node_id, 1, 2)}
    assert len(rig.query(path, "SELECT * FROM dead_letters")) == 1


def test_a_commit_that_fails_strikes_nothing(
    database: Database, ingest: Ingest, node: Node, path: Path
) -> None:
    fails = [True]

    @event.listens_for(database.engine, "commit")
    def commit(_connection: object) -> None:
        if fails:
            raise OperationalError("COMMIT", None, Exception("database or disk is full"))

    sent = node.sends(rig.make_report(1, [1]))
    with pytest.raises(OperationalError):
        ingest.process([sent])
    fails.clear()
    assert rig.kinds(ingest.process([sent])) == ["stored"]


def test_a_revoked_context_strikes_nothing(
    database: Database, ingest: Ingest, node: Node, path: Path
) -> None:
    with database.begin() as session:
        oscore.revoke(session, node.node_id)
    assert rig.kinds(ingest.process([node.sends(rig.make_report(1, [1]))])) == ["replayed"]
    assert not rig.stored(path)


def test_an_unknown_window_takes_what_is_proven_fresh(
    database: Database, ingest: Ingest, node: Node
) -> None:
    node.number = 40
    with database.begin() as session:
        oscore.distrust(session, node.node_id)
    assert rig.kinds(ingest.process([node.sends(b"")])) == ["replayed"]
    fresh = Claim(node.context_id, 50, True)
    assert rig.kinds(ingest.process([node.sends(b"", fresh)])) == ["polled"]
    assert rig.kinds(ingest.process([node.sends(b"", fresh)])) == ["replayed"]
    assert rig.kinds(ingest.process([node.sends(b"", Claim(node.context_id, 49))])) == ["replayed"]
    assert rig.kinds(ingest.process([node.sends(b"", Claim(node.context_id, 51))])) == ["polled"]


def test_without_a_claim_nothing_at_all_is_no_poll(ingest: Ingest, node: Node) -> None:
    """On MQTT an empty payload is an undecodable report, as it always was."""
    assert rig.kinds(ingest.process([Message(node.node_id, b"", rig.NOW_US)])) == ["undecodable"]


def test_sabotage_without_the_strike_a_replay_is_answered_again(
    ingest: Ingest, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oscore, "strike", lambda _session, claims, *_: [True for _ in claims])
    poll = node.sends(b"")
    assert rig.kinds(ingest.process([poll])) == ["polled"]
    assert rig.kinds(ingest.process([poll])) == ["polled"]
