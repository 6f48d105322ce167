"""Two clients with one certificate that cut each other off, at the embedded broker."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fleet_rig
import pytest
from broker_rig import EmbeddedRig
from mqtt_peers import Client, Credential

from fleet.broker.embedded import BrokerSettings, EmbeddedBroker
from fleet.clones.sessions import SessionWatch
from fleet.registry import operations as registry
from fleet.settings import CONFIG, load
from fleet.upkeep import Upkeep


class WatchedRig(EmbeddedRig):
    """The embedded broker as a fleet has it."""

    async def start(self) -> None:
        """Start the broker and note its port."""
        self.watch = SessionWatch()
        pki = self.pki.authority
        settings = BrokerSettings(pki.server.certificate, pki.server.key, pki.bundle_path)
        self.broker = EmbeddedBroker(settings, self.pki.is_revoked, self.watch)
        await self.broker.start()
        self.port = self.broker.port


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[WatchedRig]:
    rig = WatchedRig(tmp_path)
    yield rig
    rig.stop()


def comes(rig: WatchedRig, credential: Credential, address: str) -> Client:
    """A client at `address` that is there and has published."""
    client = rig.client(credential)
    client._mqtt.connect = partial(client._mqtt.connect, bind_address=address)  # type: ignore[method-assign]
    assert client.connect()
    client.publish(f"k1/{credential.cn}/up/report", b"x")
    return client


def test_attack_two_clients_end_each_other(broker: WatchedRig, tmp_path: Path) -> None:
    database = fleet_rig.open_database(tmp_path)
    (node,) = fleet_rig.add_nodes(database, 1)
    credential = broker.pki.node(node)
    clients = [comes(broker, credential, f"127.0.0.{2 + n % 2}") for n in range(5)]
    try:
        (tmp_path / CONFIG).write_text("")
        upkeep = Upkeep(load(tmp_path), database, broker.pki.authority)
        upkeep.sessions = broker.watch
        upkeep.tick()
        with database.read() as session:
            assert registry.show_node(session, node).state == "quarantined"
        assert upkeep.open_alarms()["clone"] == 1
    finally:
        for client in clients:
            client.close()
        database.close()


def test_a_client_that_is_cut_off_and_comes_from_elsewhere_is_one(broker: WatchedRig) -> None:
    credential = broker.pki.node()
    clients = [comes(broker, credential, f"127.0.0.{2 + n}") for n in range(5)]
    clients += [comes(broker, credential, "127.0.0.9") for _ in range(5)]
    try:
        assert broker.watch.suspects() == []
        assert broker.watch.serials() == [credential.serial], "one certificate, told once"
    finally:
        for client in clients:
            client.close()


def test_a_watch_that_fails_costs_nobody_the_connection(
    broker: WatchedRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.watch, "connected", None)
    credential = broker.pki.node()
    with comes(broker, credential, "127.0.0.2") as client:
        assert client.accepted
