"""T1: keys copied from a node are used by a second device, by either door."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import coap_rig
import fleet_rig as rig
import pytest
import pytest_asyncio
from aiocoap import CHANGED, FORBIDDEN
from fleet_here import FleetHere
from mqtt_peers import Client, Credential

from fleet.alarms import operations as alarms
from fleet.clones import operations as clones
from fleet.clones.epochs import Epochs
from fleet.db.base import Database
from fleet.identity import oscore
from fleet.identity.client import key_pem, make_key_and_csr
from fleet.registry import operations as registry
from fleet.uplink import contents
from fleet.uplink.ingest import Ingest
from fleet.wire import report

FLAGGED_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = rig.open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def node(database: Database) -> str:
    return rig.add_nodes(database, 1)[0]


def send(database: Database, node: str, *reports: tuple[int, list[int]]) -> list[str]:
    """Each report as a batch of its own; what became of them."""
    ingest = Ingest(database)
    made = [rig.message(node, rig.make_report(*each)) for each in reports]
    return [rig.kinds(ingest.process([each]))[0] for each in made]


def state(database: Database, node: str) -> tuple[str, list[str | int]]:
    """The node's state, and the evidence of its open alarms."""
    with database.read() as session:
        found = alarms.list_(session, alarms.Filter(subject=node))
        return registry.show_node(session, node).state, [a.detail["evidence"] for a in found]


# --- two journals ----------------------------------------------------------------------------


def test_attack_a_copied_key_reports_from_a_journal_of_its_own(
    database: Database, node: str
) -> None:
    turns = [(1 + n % 2, [1 + n // 2]) for n in range(8)]
    assert send(database, node, *turns) == ["stored"] * 6 + ["refused"] * 2
    assert state(database, node) == ("quarantined", ["epochs"])


def test_a_node_that_is_wiped_again_and_again_is_one(database: Database, node: str) -> None:
    reports = [(epoch, [n]) for epoch in range(1, 40) for n in (1, 2)]
    assert set(send(database, node, *reports)) == {"stored"}
    assert state(database, node) == ("active", [])


def test_attack_a_copy_that_is_wiped_after_each_report(database: Database, node: str) -> None:
    turns = [each for n in range(1, 6) for each in ((7, [n]), (100 + n, [1]))]
    assert send(database, node, *turns)[-1] == "refused"
    assert state(database, node) == ("quarantined", ["epochs"])


def test_a_report_from_before_the_wipe_may_come_late(database: Database, node: str) -> None:
    assert send(database, node, (1, [1]), (2, [1]), (1, [2]), (2, [2]), (1, [1, 2])) == [
        *["stored"] * 4, "repeated",
    ]  # fmt: skip
    assert state(database, node) == ("active", [])


def test_sabotage_without_the_epochs_the_copy_is_heard(
    database: Database, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Epochs, "are_of_two", False)
    turns = [(1 + n % 2, [1 + n // 2]) for n in range(12)]
    assert set(send(database, node, *turns)) == {"stored"}


# --- one journal, copied with the keys -------------------------------------------------------


def forged(database: Database, node: str, epoch: int, sequence: int) -> str:
    """A record that the fleet has, with another content."""
    other = report.encode_body(1_795_411_000, report.GOOD, [(2, 4711)])
    payload = report.encode(epoch, 1_795_411_000, [(sequence, other)], {})
    return rig.kinds(Ingest(database).process([rig.message(node, payload)]))[0]


def test_attack_a_copied_flash_forks_the_journal(database: Database, node: str) -> None:
    send(database, node, (7, list(range(1, 30))))
    assert send(database, node, (7, list(range(1, 30)))) == ["repeated"], "the same is a repeat"
    assert forged(database, node, 7, 12) == "refused"
    assert state(database, node) == ("quarantined", ["record"])
    assert send(database, node, (7, [30])) == ["refused"]


def test_sabotage_without_the_contents_the_fork_is_receipted(
    database: Database, node: str
) -> None:
    send(database, node, (7, [1]))
    with database.begin() as session:
        contents.forget(session, node)
    assert forged(database, node, 7, 1) == "repeated"
    assert state(database, node) == ("active", [])


def test_a_release_lets_it_be_heard_until_it_forks_again(database: Database, node: str) -> None:
    send(database, node, (7, [1]))
    forged(database, node, 7, 1)
    with database.begin() as session:
        clones.release(session, node, "Li Wei")
        contents.forget(session, node)
        with pytest.raises(registry.RegistryError, match="not quarantined"):
            clones.release(session, node, "Li Wei")
    assert state(database, node) == ("active", [])
    assert send(database, node, (7, [2])) == ["stored"]
    assert forged(database, node, 7, 2) == "refused"
    assert state(database, node)[0] == "quarantined"


# --- by CoAP ---------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def coap(tmp_path: Path) -> AsyncIterator[coap_rig.Rig]:
    folder = tmp_path / "coap"
    folder.mkdir()
    async with coap_rig.serving(folder) as made:
        yield made


def copy_of(node: coap_rig.Node) -> coap_rig.Node:
    return coap_rig.Node(node.node_id, node.kid, node.secret)


async def test_attack_a_copied_oscore_key_uses_a_number_again(coap: coap_rig.Rig) -> None:
    node = coap.node()
    copy = copy_of(node)
    began = time.monotonic()
    assert (await coap.link().deliver(node, rig.make_report(1, [1]))).code == CHANGED
    raw, _ = copy.seal(rig.make_report(2, [1]))
    await coap.link("127.0.0.9").exchange(raw)
    assert state(coap.database, node.node_id) == ("quarantined", ["number"])
    assert time.monotonic() - began < FLAGGED_S
    assert (await coap.link().deliver(node, rig.make_report(1, [2]))).code == FORBIDDEN
    assert (await coap.link().deliver(copy, rig.make_report(2, [2]))).code == FORBIDDEN


async def test_a_recording_sent_again_is_no_clone(coap: coap_rig.Rig) -> None:
    """Whoever listens on the path must not be able to silence a node."""
    node = coap.node()
    raws = [node.seal(rig.make_report(1, [n]))[0] for n in range(1, 5)]
    for raw in raws:
        await coap.link().exchange(raw)
    for raw in raws * 3:
        await coap.link("127.0.0.9").exchange(raw)
    await coap.stop()
    await coap.start()
    for raw in raws:
        await coap.link("127.0.0.9").exchange(raw)
    assert state(coap.database, node.node_id) == ("active", [])


async def test_the_fleet_knows_it_after_a_restart(coap: coap_rig.Rig) -> None:
    node = coap.node()
    copy = copy_of(node)
    await coap.link().deliver(node, rig.make_report(1, [1]))
    await coap.stop()
    await coap.start()
    await coap.link().exchange(copy.seal(rig.make_report(2, [1]))[0])
    assert state(coap.database, node.node_id)[0] == "quarantined"


async def test_sabotage_without_the_digests_nobody_notices(
    coap: coap_rig.Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oscore, "used_twice", lambda *_: False)
    node = coap.node()
    copy = copy_of(node)
    await coap.link().deliver(node, rig.make_report(1, [1]))
    await coap.link().exchange(copy.seal(rig.make_report(2, [1]))[0])
    assert state(coap.database, node.node_id) == ("active", [])


# --- by MQTT, with a fleet of its own process ------------------------------------------------


async def test_attack_two_nodes_with_one_certificate(tmp_path: Path) -> None:
    fleet = FleetHere(
        tmp_path / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "off"
    )
    await fleet.command("init")
    await fleet.command("area", "add", rig.AREA, "Tianhe")
    node = rig.new_node_id()
    key, request = make_key_and_csr(node)
    files = {name: tmp_path / f"node.{name}" for name in ("csr", "crt", "key")}
    files["csr"].write_bytes(request)
    files["key"].write_bytes(key_pem(key))
    await fleet.command(
        "node", "add", node, "--role", "drainage", "--area", rig.AREA,
        "--csr", str(files["csr"]), "--cert-out", str(files["crt"]),
    )  # fmt: skip
    port = (await fleet.start())["broker_port"]
    try:
        began = time.monotonic()
        reports = 0
        while await _state(fleet, node) == "active":
            reports += 1
            assert time.monotonic() - began < FLAGGED_S
            credential = Credential(node, files["crt"], files["key"])
            payload = rig.make_report(1 + reports % 2, [reports])
            await asyncio.to_thread(_report, fleet, port, credential, payload)
        assert await _state(fleet, node) == "quarantined"
        listed = await fleet.command("alarm", "list", "--lang", "zh")
        assert "两份日志交替上报" in listed
        await fleet.command("node", "release", node)
        assert await _state(fleet, node) == "active"
    finally:
        await fleet.stop()


async def _state(fleet: FleetHere, node: str) -> str:
    rows = rig.query(fleet.data / "kapok.db", "SELECT state FROM terminals WHERE id = ?", node)
    return str(rows[0][0])


def _report(fleet: FleetHere, port: int, credential: Credential, payload: bytes) -> None:
    with Client(port, fleet.data / "pki" / "root.crt", credential) as client:
        assert client.connect()
        client.publish(f"k1/{credential.cn}/up/report", payload)
