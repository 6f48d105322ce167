"""The subscriber between a real broker and a real database, when one of them fails.

In one process, so that a test can make a commit fail at the right moment; what survives `kill -9`
is in test_uplink_faults.py.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fleet_rig
import pytest
from broker_rig import MOSQUITTO, EmbeddedRig, MosquittoRig, Rig
from mqtt_peers import PATIENCE, Client, Credential
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fleet.db import sqlite
from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.uplink import batches as module
from fleet.uplink import topics
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Ingest
from fleet.uplink.subscriber import BrokerAddress, Subscriber


class Uplink:
    """A subscriber that runs, its database, and one node that is registered."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.path = folder / "kapok.db"
        self.database: Database = fleet_rig.open_database(folder)
        (node_id,) = fleet_rig.add_nodes(self.database, 1)
        self.rig = rig
        self.node: Credential = rig.pki.node(node_id)
        self.ingest = Ingest(self.database)
        self.batches = Batches(self.ingest)
        authority = rig.pki.authority
        self.subscriber = Subscriber(
            BrokerAddress("localhost", rig.port, authority.bundle_path, *authority.service[::-1]),
            self.batches,
        )
        self.acknowledged: list[int] = []
        ack = self.subscriber._client.ack

        def noted(mid: int, qos: int) -> Any:
            self.acknowledged.append(mid)
            return ack(mid, qos)

        self.subscriber._client.ack = noted  # type: ignore[method-assign]

    def start(self) -> None:
        """Return when reports can come."""
        self.batches.start()
        self.subscriber.start()
        assert self.subscriber.connected.wait(PATIENCE)

    def stop(self) -> None:
        """As the composition does it."""
        self.batches.stop()
        self.subscriber.stop()

    def client(self, credential: Credential | None = None) -> Client:
        """A node that listens for its receipts."""
        client = self.rig.client(credential or self.node)
        assert client.connect()
        client.subscribe(f"k1/{client.credential.cn}/down/#")
        return client

    def send(self, client: Client, payload: bytes, qos: int = 1) -> None:
        """A report."""
        client.publish(f"k1/{client.credential.cn}/up/report", payload, qos)

    def receipted(self, client: Client) -> set[int]:
        """The sequences of epoch 1 that receipts covered so far."""
        wanted = topics.receipt_of(client.credential.cn)
        return {
            n
            for topic, payload in list(client.inbox)
            for _, n in fleet_rig.covered(payload)
            if topic == wanted
        }

    def stored(self) -> set[int]:
        """The sequences that are committed, each once."""
        found = fleet_rig.stored(self.path)
        assert all(n == 1 for n in found.values()), "a record was stored twice"
        return {sequence for _, _, sequence in found}


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread or process does, and has no event for."""
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if request.param == "mosquitto" and not MOSQUITTO:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    kind = EmbeddedRig if request.param == "embedded" else MosquittoRig
    made: Rig = kind(tmp_path_factory.mktemp(request.param))
    yield made
    made.stop()


@pytest.fixture
def uplink(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Uplink]:
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    monkeypatch.setattr(module, "RETRY_S", (0.02, 0.1))
    made = Uplink(rig, tmp_path)
    made.start()
    yield made
    made.stop()
    made.database.close()


def test_a_locked_database_holds_receipts_and_acknowledgements_back(uplink: Uplink) -> None:
    with uplink.client() as node:
        with fleet_rig.writer_elsewhere(uplink.path):
            uplink.send(node, fleet_rig.make_report(1, [1, 2]))
            until(lambda: uplink.batches.counts["database retries"] >= 2)
            assert not uplink.receipted(node)
            assert not uplink.acknowledged
        until(lambda: uplink.receipted(node) == {1, 2})
        until(lambda: len(uplink.acknowledged) == 1)
    assert uplink.stored() == {1, 2}


def test_commits_that_fail_hold_receipts_and_acknowledgements_back(uplink: Uplink) -> None:
    fails = threading.Event()
    fails.set()

    @event.listens_for(uplink.database.engine, "commit")
    def commit(_connection: object) -> None:
        if fails.is_set():
            raise OperationalError("COMMIT", None, Exception("database or disk is full"))

    with uplink.client() as node:
        for n in range(1, 6):
            uplink.send(node, fleet_rig.make_report(1, [n]))
        until(lambda: uplink.batches.counts["database retries"] >= 3)
        assert not uplink.receipted(node)
        assert not uplink.acknowledged
        assert not uplink.stored()
        fails.clear()
        until(lambda: uplink.receipted(node) == set(range(1, 6)))
    assert uplink.stored() == set(range(1, 6))


def test_a_database_that_is_gone_takes_the_reports_when_it_is_back(uplink: Uplink) -> None:
    aside = uplink.path.with_suffix(".aside")
    with uplink.client() as node:
        uplink.path.rename(aside)
        uplink.send(node, fleet_rig.make_report(1, [1]))
        until(lambda: uplink.batches.counts["database retries"] >= 2)
        assert not uplink.receipted(node)
        aside.rename(uplink.path)
        until(lambda: uplink.receipted(node) == {1})
    assert uplink.stored() == {1}


def test_a_full_queue_waits_and_drops_nothing(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dropped message would stay in the broker's window: a window's worth of them shuts it."""
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    monkeypatch.setattr(module, "RETRY_S", (0.02, 0.1))
    monkeypatch.setattr(module, "QUEUE", 2)
    monkeypatch.setattr(module, "BATCH", 2)
    uplink = Uplink(rig, tmp_path)
    uplink.start()
    try:
        with uplink.client() as node:
            with fleet_rig.writer_elsewhere(uplink.path):
                for n in range(1, 31):
                    uplink.send(node, fleet_rig.make_report(1, [n]))
                until(lambda: uplink.batches.counts["queue full"] > 0)
                assert not uplink.acknowledged
            until(lambda: uplink.receipted(node) == set(range(1, 31)))
            until(lambda: len(uplink.acknowledged) == 30)
    finally:
        uplink.stop()
        uplink.database.close()
    assert uplink.stored() == set(range(1, 31))


def test_stopping_with_a_full_queue_and_no_database_is_quick(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    monkeypatch.setattr(module, "QUEUE", 1)
    uplink = Uplink(rig, tmp_path)
    uplink.start()
    with uplink.client() as node, fleet_rig.writer_elsewhere(uplink.path):
        for n in range(1, 6):
            uplink.send(node, fleet_rig.make_report(1, [n]))
        until(lambda: uplink.batches.counts["database retries"] >= 1)
        began = time.monotonic()
        uplink.stop()
        assert time.monotonic() - began < 30
        assert not uplink.acknowledged
        assert not uplink.receipted(node)
    uplink.database.close()
    assert not uplink.stored()


def test_attack_report_of_qos_0_breaks_no_connection(uplink: Uplink) -> None:
    """It has no packet identifier: to acknowledge it would be a protocol error of the fleet's."""
    with uplink.client() as node:
        for n in (1, 2, 3):
            uplink.send(node, fleet_rig.make_report(1, [n]), qos=0)
        until(lambda: uplink.receipted(node) == {1, 2, 3})
        uplink.send(node, fleet_rig.make_report(1, [4]))
        until(lambda: uplink.receipted(node) == {1, 2, 3, 4})
    assert uplink.subscriber._connection == 1
    assert uplink.subscriber.connected.is_set()


def test_sabotage_acknowledging_qos_0_loses_the_connection(uplink: Uplink) -> None:
    """What the test above guards against; amqtt lets it pass."""
    client = uplink.subscriber._client
    ack = client.ack
    client.ack = lambda mid, qos: ack(mid, max(qos, 1))  # type: ignore[method-assign]
    with uplink.client() as node:
        uplink.send(node, fleet_rig.make_report(1, [1]), qos=0)
        if isinstance(uplink.rig, EmbeddedRig):
            until(lambda: uplink.receipted(node) == {1})
        else:
            until(lambda: uplink.subscriber._connection == 2)


def test_attack_report_of_a_node_revoked_in_the_registry_alone(uplink: Uplink) -> None:
    """A broker may keep its session, as Mosquitto does: the ingest still says no."""
    (other_id,) = fleet_rig.add_nodes(uplink.database, 1)
    with uplink.client() as node, uplink.client(uplink.rig.pki.node(other_id)) as other:
        uplink.send(node, fleet_rig.make_report(1, [1]))
        until(lambda: uplink.receipted(node) == {1})
        with uplink.database.begin() as session:
            registry.set_state(session, node.credential.cn, "revoked")
        uplink.send(node, fleet_rig.make_report(1, [1, 2]))
        until(lambda: uplink.ingest.counts["refused"] == 1)
        uplink.send(other, fleet_rig.make_report(1, [3]))
        until(lambda: uplink.receipted(other) == {3})
        until(lambda: len(uplink.acknowledged) == 3)
        assert uplink.receipted(node) == {1}
    assert uplink.stored() == {1, 3}


def test_attack_topics_and_payloads_that_are_no_reports(uplink: Uplink) -> None:
    with uplink.client() as node:
        me = node.credential.cn
        for payload in (b"", b"\xff", b"\x00" * 8000, b"\xa5" + b"\x00" * 100, b"\x9b" * 9):
            uplink.send(node, payload)
        for topic in (f"k1/{me}/up/report/x", f"k1/{me}/up/", f"k1/{me}/up/Report"):
            node.publish(topic, fleet_rig.make_report(1, [9]))
        uplink.send(node, fleet_rig.make_report(1, [1]))
        until(lambda: uplink.receipted(node) == {1})
    assert uplink.ingest.counts["undecodable"] == 5
    assert uplink.stored() == {1}
    assert uplink.subscriber._connection == 1


def test_a_cut_connection_comes_back_and_what_was_repeated_is_stored_once(uplink: Uplink) -> None:
    with uplink.client() as node:
        with fleet_rig.writer_elsewhere(uplink.path):
            uplink.send(node, fleet_rig.make_report(1, [1]))
            until(lambda: uplink.batches.counts["database retries"] >= 1)
            sock: Any = uplink.subscriber._client.socket()
            uplink.subscriber.connected.clear()
            sock.shutdown(2)
            assert uplink.subscriber.connected.wait(PATIENCE), "paho did not come back"
            uplink.send(node, fleet_rig.make_report(1, [1, 2]))
        until(lambda: uplink.receipted(node) == {1, 2})
    assert uplink.stored() == {1, 2}
    assert uplink.subscriber._connection == 2
