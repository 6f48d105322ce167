"""The pipeline behind every door: each record stored once, and no receipt before its commit."""

from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.clones.epochs import Epochs
from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.telemetry import operations as telemetry
from fleet.telemetry.tables import Reading
from fleet.uplink import deadletters
from fleet.uplink.ingest import Ingest, Outcome
from fleet.uplink.message import Message
from fleet.uplink.tables import DeadLetter, StoredSequences
from fleet.wire import receipt, report

WORST = 0xFFFFFFFF  # the highest epoch, sequence and time


# --- every record once -----------------------------------------------------------------------

reports = st.tuples(
    st.integers(0, 3),  # which node
    st.sampled_from([1, 2, 77]),  # epoch
    st.sets(st.integers(1, 30), max_size=12),  # with gaps; repeats and overlaps between reports
)
junk = st.tuples(st.integers(0, 3), st.binary(max_size=20))
batches = st.lists(st.lists(st.one_of(reports, junk), max_size=6), max_size=6)


def _message(nodes: list[str], drawn: Any) -> tuple[Message, set[rig.Pair]]:
    if isinstance(drawn[1], bytes):
        return rig.message(nodes[drawn[0]], drawn[1]), set()
    which, epoch, sequences = drawn
    payload = rig.make_report(epoch, sorted(sequences))
    return rig.message(nodes[which], payload), {(epoch, n) for n in sequences}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=batches)
def test_each_record_is_stored_once_and_a_receipt_covers_what_is_committed(
    database: Database, path: Path, many_nodes: list[str], batches: list[list[Any]]
) -> None:
    """Any order, repeats, overlaps, gaps, epochs, nodes and batches, with junk in between."""
    rig.empty(database, Reading, StoredSequences, DeadLetter)
    ingest = Ingest(database)
    refused = many_nodes[3]
    given_in: set[tuple[str, int, int]] = set()
    for batch in batches:
        pairs = [_message(many_nodes, drawn) for drawn in batch]
        outcomes = ingest.process([message for message, _ in pairs])
        committed = rig.stored(path)
        for (message, sent), outcome in zip(pairs, outcomes, strict=True):
            if message.node_id == refused:
                assert outcome == Outcome("refused")
                continue
            assert rig.covered(outcome.receipt) == sent
            for epoch, sequence in sent:
                given_in.add((message.node_id, epoch, sequence))
                assert (message.node_id, epoch, sequence) in committed
    found = rig.stored(path)
    assert set(found) == given_in
    assert all(n == 1 for n in found.values())
    assert ingest.counts["readings"] == len(given_in)


@pytest.fixture
def many_nodes(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three active nodes and a quarantined one. Their epochs come in turns, as a clone's do."""
    monkeypatch.setattr(Epochs, "are_of_two", False)
    nodes = rig.add_nodes(database, 4)
    with database.begin() as session:
        registry.set_state(session, nodes[3], "quarantined")
    return nodes


def test_all_values_of_a_record_are_stored_under_its_asset(
    ingest: Ingest, node: str, path: Path
) -> None:
    body = report.encode_body(0, report.SUSPECT, [(2, -(1 << 63)), (5, (1 << 63) - 1), (100, 0)])
    payload = report.encode(WORST, 0, [(WORST, body)], {})
    (outcome,) = ingest.process([rig.message(node, payload)])
    assert rig.covered(outcome.receipt) == {(WORST, WORST)}
    rows = rig.query(
        path,
        "SELECT quantity, value, time_us, quality, trust, clock_off, received_us FROM readings"
        " JOIN installations ON installations.asset_id = readings.asset_id AND open_for = ?"
        " ORDER BY quantity",
        node,
    )
    tail = (0, report.SUSPECT, telemetry.TLS, 1, rig.NOW_US)
    assert rows == [(2, -(1 << 63), *tail), (5, (1 << 63) - 1, *tail), (100, 0, *tail)]


def test_the_latest_time_is_stored_and_marked(ingest: Ingest, node: str, path: Path) -> None:
    payload = report.encode(1, WORST, [(1, report.encode_body(WORST, 1, [(2, 0)]))], {})
    ingest.process([rig.message(node, payload)])
    assert rig.query(path, "SELECT time_us, clock_off FROM readings") == [(WORST * 1_000_000, 1)]


def test_the_largest_report_is_stored_and_a_receipt_keeps_to_its_limit(
    ingest: Ingest, node: str, path: Path
) -> None:
    """256 records apart make 256 ranges; a receipt takes 64, and repeats bring no new rows."""
    sequences = list(range(1, 512, 2))
    payload = rig.make_report(9, sequences)
    (outcome,) = ingest.process([rig.message(node, payload)])
    assert rig.covered(outcome.receipt) == {(9, n) for n in sequences[:64]}
    (outcome,) = ingest.process([rig.message(node, rig.make_report(9, sequences[64:]))])
    assert outcome.kind == "repeated"
    assert rig.covered(outcome.receipt) == {(9, n) for n in sequences[64:128]}
    assert len(rig.stored(path)) == len(sequences)


def test_a_report_without_records_tells_its_status_and_gets_a_receipt_without_ranges(
    ingest: Ingest, node: str, database: Database
) -> None:
    (outcome,) = ingest.process([rig.message(node, rig.make_report(1, [], {0: 3}))])
    assert outcome.receipt is not None
    assert receipt.decode(outcome.receipt) == (0, [], [], 0, 0)
    with database.read() as session:
        found = registry.show_node(session, node)
    assert (found.last_report_us, found.status) == (rig.NOW_US, {"0": 3})


# --- who gets no receipt ---------------------------------------------------------------------


@pytest.mark.parametrize("state", ["quarantined", "revoked", "retired"])
def test_a_node_that_is_not_active_gets_no_receipt_and_nothing_is_stored(
    ingest: Ingest, database: Database, path: Path, state: str
) -> None:
    good, bad = rig.add_nodes(database, 2)
    with database.begin() as session:
        registry.set_state(session, bad, state)
    payload = rig.make_report(1, [1])
    outcomes = ingest.process(
        [rig.message(bad, payload), rig.message(good, payload), rig.message(bad, b"\xff")]
    )
    assert rig.kinds(outcomes) == ["refused", "stored", "refused"]
    assert outcomes[0].receipt is outcomes[2].receipt is None
    assert set(rig.stored(path)) == {(good, 1, 1)}
    assert rig.query(path, "SELECT count(*) FROM dead_letters") == [(0,)]
    assert rig.query(path, "SELECT last_report_us FROM terminals WHERE id = ?", bad) == [(None,)]


def test_an_unknown_node_leaves_no_trace(ingest: Ingest, node: str, path: Path) -> None:
    stranger = rig.new_node_id()
    outcomes = ingest.process(
        [rig.message(stranger, rig.make_report(1, [1])), rig.message(stranger, b"junk")]
    )
    assert outcomes == [Outcome("unknown"), Outcome("unknown")]
    for table in ("readings", "dead_letters", "stored_sequences"):
        assert rig.query(path, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608


def test_a_state_counts_from_the_next_report_on(
    ingest: Ingest, database: Database, node: str, path: Path
) -> None:
    ingest.process([rig.message(node, rig.make_report(1, [1]))])
    with database.begin() as session:
        registry.set_state(session, node, "revoked")
    assert ingest.process([rig.message(node, rig.make_report(1, [1]))]) == [Outcome("refused")]
    with database.begin() as session:
        registry.set_state(session, node, "active")
    outcomes = ingest.process([rig.message(node, rig.make_report(1, [1, 2]))])
    assert rig.kinds(outcomes) == ["stored"]
    assert len(rig.stored(path)) == 2


# --- poison ----------------------------------------------------------------------------------


def test_an_undecodable_message_is_kept_and_its_neighbours_are_stored(
    ingest: Ingest, node: str, path: Path
) -> None:
    outcomes = ingest.process(
        [
            rig.message(node, rig.make_report(1, [1])),
            rig.message(node, b"\xa1\x00"),
            rig.message(node, rig.make_report(1, [2])),
        ]
    )
    assert rig.kinds(outcomes) == ["stored", "undecodable", "stored"]
    assert outcomes[1].receipt is None
    assert len(rig.stored(path)) == 2
    ((who, at, reason, payload),) = rig.query(
        path, "SELECT node_id, received_us, reason, payload FROM dead_letters"
    )
    assert (who, at, payload) == (node, rig.NOW_US, b"\xa1\x00")
    assert "version" in reason


def test_what_a_constraint_refuses_spoils_no_neighbour(
    ingest: Ingest, database: Database, path: Path
) -> None:
    good, bad = rig.add_nodes(database, 2)
    rig.without_its_asset(path, bad)
    batch = [rig.message(n, rig.make_report(1, [i])) for i in (1, 2) for n in (good, bad)]
    outcomes = ingest.process(batch)
    assert rig.kinds(outcomes) == ["stored", "poison", "stored", "poison"]
    assert [o.receipt is None for o in outcomes] == [False, True, False, True]
    assert set(rig.stored(path)) == {(good, 1, 1), (good, 1, 2)}
    assert rig.query(path, "SELECT node_id FROM dead_letters") == [(bad,), (bad,)]
    assert rig.query(path, "SELECT node_id FROM stored_sequences") == [(good,)]


def test_what_this_program_trips_over_spoils_no_neighbour(
    ingest: Ingest, database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = rig.add_nodes(database, 2)
    decode = report.decode

    def trips(payload: bytes) -> report.Report:
        if payload == b"bug":
            raise KeyError("a bug\nin two lines")
        return decode(payload)

    monkeypatch.setattr(report, "decode", trips)
    outcomes = ingest.process(
        [rig.message(bad, b"bug"), rig.message(good, rig.make_report(1, [1]))]
    )
    assert rig.kinds(outcomes) == ["poison", "stored"]
    ((reason,),) = rig.query(path, "SELECT reason FROM dead_letters")
    assert reason.startswith("KeyError")


@pytest.mark.parametrize("damage", [b"", b"\xf6", b"\x81\x01", b"\xff"])
def test_a_damaged_row_of_sequences_gives_neither_a_receipt_nor_a_second_copy(
    ingest: Ingest, database: Database, path: Path, damage: bytes
) -> None:
    good, bad = rig.add_nodes(database, 2)
    both = [rig.message(n, rig.make_report(1, [1])) for n in (good, bad)]
    ingest.process(both)
    with database.begin() as session:
        row = session.get(StoredSequences, (bad, 1))
        assert row is not None
        row.ranges = damage
    assert rig.kinds(ingest.process(both)) == ["repeated", "poison"]
    assert all(n == 1 for n in rig.stored(path).values())


def test_dead_letters_of_a_node_are_bounded_and_the_newest_are_kept(
    ingest: Ingest, database: Database, path: Path
) -> None:
    noisy, other = rig.add_nodes(database, 2)
    ingest.process([rig.message(other, b"other")])
    for start in range(0, 60, 20):
        ingest.process([rig.message(noisy, b"%d" % i) for i in range(start, start + 20)])
    ingest.process([rig.message(noisy, b"\x00" * 100_000)])
    rows = rig.query(path, "SELECT payload FROM dead_letters WHERE node_id = ? ORDER BY id", noisy)
    assert len(rows) == deadletters.PER_NODE == 20
    assert rows[-1] == (b"\x00" * deadletters.KEPT_BYTES,)
    assert rows[0] == (b"41",)
    assert rig.query(path, "SELECT count(*) FROM dead_letters WHERE node_id = ?", other) == [(1,)]


def test_gaps_without_end_keep_the_row_bounded_and_close_the_oldest(
    ingest: Ingest, node: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that leaves out every second number would make its row grow for ever."""
    from fleet.uplink import batch as module

    monkeypatch.setattr(module, "MAX_RANGES", 10)
    ten = rig.message(node, rig.make_report(1, range(1, 21, 2)))
    assert rig.kinds(ingest.process([ten])) == ["stored"]
    assert rig.kinds(ingest.process([rig.message(node, rig.make_report(1, [100]))])) == ["stored"]
    # 2 lies in the oldest gap, which is closed now; 4 in the next one, which is still open.
    assert rig.kinds(ingest.process([rig.message(node, rig.make_report(1, [2]))])) == ["repeated"]
    assert rig.kinds(ingest.process([rig.message(node, rig.make_report(1, [4]))])) == ["stored"]
    assert len(rig.stored(path)) == 12
