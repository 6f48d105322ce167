"""A revocation reaches a Mosquitto that runs, and the ingest at once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fleet_rig as rig
import pytest
from broker_rig import MOSQUITTO, MosquittoRig
from mqtt_peers import Client, Credential

from fleet.alarms import operations as alarms
from fleet.broker.errors import BrokerError
from fleet.broker.reload import reload
from fleet.db.base import Database
from fleet.identity import operations as identity
from fleet.identity.client import key_pem, make_key_and_csr
from fleet.registry import operations as registry
from fleet.settings import CONFIG, Settings, load
from fleet.upkeep import Upkeep
from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Ingest
from fleet.uplink.subscriber import BrokerAddress, Subscriber

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


class Town:
    """A Mosquitto of the system, a database, an ingest, and the upkeep that a fleet would do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = MosquittoRig(folder)
        self.pki = self.broker.pki.authority
        self.database: Database = rig.open_database(folder)
        pid_file = folder / "mosquitto.pid"
        pid_file.write_text(f"{self.broker._process.pid}\n")
        (folder / CONFIG).write_text("")
        self.settings: Settings = replace(load(folder), reload=pid_file)
        self.upkeep = self.care(self.settings)
        self.ingest = Ingest(self.database)
        self._batches = Batches(self.ingest)
        service = self.pki.service
        self._subscriber = Subscriber(
            BrokerAddress(
                "localhost", self.broker.port, self.pki.bundle_path, service.certificate,
                service.key,
            ),
            self._batches,
        )  # fmt: skip
        self._subscriber.start()
        self._batches.start()
        assert self._subscriber.connected.wait(60)

    def care(self, settings: Settings) -> Upkeep:
        made = Upkeep(settings, self.database, self.pki)
        made.start()
        return made

    def close(self) -> None:
        self._batches.stop()
        self._subscriber.stop()
        self.broker.stop()
        self.database.close()

    def node(self) -> Credential:
        """A node that is enrolled, with its credentials as files."""
        (node,) = rig.add_nodes(self.database, 1)
        key, request = make_key_and_csr(node)
        with self.database.begin() as session:
            issued = identity.enrol(session, self.pki, request)
        files = self.folder / f"{node}.crt", self.folder / f"{node}.key"
        files[0].write_bytes(issued.pem)
        files[1].write_bytes(key_pem(key))
        return Credential(node, *files, issued.serial)

    def client(self, credential: Credential) -> Client:
        return self.broker.client(credential)

    def revoke(self, credential: Credential) -> None:
        """As `kapok node revoke` does, in another process."""
        with self.database.begin() as session:
            registry.set_state(session, credential.cn, "revoked")
            identity.revoke(session, credential.cn, "key-compromise")

    def is_let_in(self, credential: Credential) -> bool:
        with self.client(credential) as client:
            return client.connect()

    def open_alarms(self) -> dict[str, int]:
        return {kind: n for kind, n in self.upkeep.open_alarms().items() if n}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    yield town
    town.close()


def until(what: object, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_attack_a_revoked_node_with_a_live_session(town: Town) -> None:
    node, third, other = town.node(), town.node(), town.node()
    topic = f"k1/{node.cn}/up/report"
    with town.client(node) as live:
        assert live.connect()
        live.publish(topic, rig.make_report(1, [1]))
        until(lambda: town.ingest.counts["stored"] == 1)
        town.revoke(node)
        live.publish(topic, rig.make_report(1, [2]))
        until(lambda: town.ingest.counts["refused"] == 1)
        town.revoke(third)  # a second connection of the first would end its session
        assert town.upkeep.tick() == 2
        until(lambda: not town.is_let_in(third))
        live.publish(topic, rig.make_report(1, [3]))  # the session lives through the reload
        until(lambda: town.ingest.counts["refused"] == 2)
        assert sum(rig.stored(town.folder / "kapok.db").values()) == 1
    assert not town.is_let_in(node)
    assert town.is_let_in(other)
    assert town.broker._process.poll() is None, "it was not restarted"


def test_sabotage_without_the_signal_the_broker_lets_it_in(town: Town) -> None:
    town.upkeep = town.care(replace(town.settings, reload=None))
    node = town.node()
    town.revoke(node)
    assert town.upkeep.tick() == 1
    assert town.is_let_in(node)


def test_a_broker_that_cannot_be_told_raises_an_alarm_until_it_can(town: Town) -> None:
    pid_file = town.settings.reload
    assert isinstance(pid_file, Path)
    right = pid_file.read_text()
    pid_file.write_text("nobody")
    town.revoke(town.node())
    town.upkeep.tick()
    assert town.open_alarms() == {"broker-reload": 1}
    town.upkeep.tick()
    pid_file.write_text(right)
    town.upkeep.tick()
    assert town.open_alarms() == {}


def test_a_list_that_cannot_be_written_raises_an_alarm(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(town.pki, "write_crl", _full)
        town.revoke(town.node())
        town.upkeep.tick()
        assert town.open_alarms() == {"crl": 1}
    town.upkeep.tick()
    assert town.open_alarms() == {}
    assert 29 * 86400 < town.upkeep.crl_seconds <= 30 * 86400


@pytest.mark.parametrize("days", [6, 8, -1, None])
def test_the_age_of_the_list_is_watched(
    town: Town, monkeypatch: pytest.MonkeyPatch, days: int | None
) -> None:
    from datetime import timedelta

    from fleet.identity import authority

    if days is None:
        town.pki.crl_path.write_text("no list")
    else:
        monkeypatch.setattr(authority, "CRL_LIFE", timedelta(days=days))
        if days > 0:
            town.pki.write_crl([])
        else:
            town.pki.crl_path.unlink()
    town.upkeep.tick()
    assert town.open_alarms() == ({} if days == 8 else {"crl": 1})
    with town.database.read() as session:
        for found in alarms.list_(session):
            assert found.subject == "crl.pem"


def _full(_entries: object) -> Path:
    raise OSError(28, "No space left on device")


def test_by_a_command(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    reload((sys.executable, "-c", f"open({str(mark)!r}, 'w')"))
    assert mark.exists()


@pytest.mark.parametrize("text", ["", "0", "-1", "1", "+5", "12 13", "²", "99999999999", "abc"])
def test_attack_a_pid_file_that_means_everybody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pid"
    path.write_text(text)
    with pytest.raises(BrokerError) as caught:
        reload(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "how",
    [Path("/nowhere/pid"), ("/nowhere/command",), ("false",), ("sh", "-c", "echo no >&2; exit 3")],
)
def test_what_cannot_be_told_is_one_line(how: Path | tuple[str, ...]) -> None:
    with pytest.raises(BrokerError) as caught:
        reload(how)
    assert "\n" not in str(caught.value)


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "pid").write_text(str(gone.pid))
    with pytest.raises(BrokerError, match="takes no SIGHUP"):
        reload(tmp_path / "pid")
