"""A certificate is changed over the air on the virtual board, and what becomes of the old one."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import fleet_rig
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fleet_here import FleetHere

from fleet.db.base import Database
from fleet.identity import rotation
from fleet.identity.client import make_key_and_csr
from fleet.identity.operations import serial_text
from fleet.settings import load
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC


class Town:
    """A fleet and a node with a spare key, by one of the doors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = FleetHere(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )

    async def open(self, door: str) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        addresses = await self.fleet.start()
        port = addresses["coap_port" if door == "coap" else "broker_port"]
        scene = scenes.drainage(
            START + 300 * SECOND, [(START + (600 + 3600 * i) * SECOND, 1.0) for i in range(48)]
        )
        self.node = VirtualNode(self.folder / "node", mac_of(str(self.folder)), scene)
        credentials = await enrol(self.fleet, self.node.node_id, scene.role, "440106")
        self.node.provision(credentials, "localhost", port, report_records=1, door=door)
        self.spare, request = make_key_and_csr(self.node.node_id)
        self.csr = x509.load_pem_x509_csr(request).public_bytes(Encoding.DER)
        self.node.board.nvs.set_blob(NAMESPACE, "key2", bytes(self.spare))
        self.node.board.nvs.set_blob(NAMESPACE, "csr2", self.csr)

    def store_spare(self, csr: bytes) -> None:
        with closing(Database(load(self.fleet.data).database_url)) as db, db.begin() as session:
            rotation.store_spare(session, self.node.node_id, csr)

    async def close(self) -> None:
        await self.node.board.stop()
        await self.fleet.stop()

    async def kapok(self, *arguments: str) -> Any:
        return json.loads(await self.fleet.command(*arguments, "--json"))

    def serials(self) -> dict[str, str]:
        """State of each certificate: live, next, revoked."""
        rows = fleet_rig.query(
            self.fleet.data / "kapok.db",
            "SELECT c.serial, CASE WHEN r.serial IS NOT NULL THEN 'revoked' "
            "WHEN active_for IS NOT NULL THEN 'live' ELSE 'next' END FROM certificates c "
            "LEFT JOIN revoked_serials r ON r.serial = c.serial WHERE c.subject = ?",
            self.node.node_id,
        )
        return dict(rows)

    @property
    def serial(self) -> str:
        """Of the certificate in the node's NVS."""
        raw = self.node.board.nvs.get(NAMESPACE, "cert")
        assert isinstance(raw, bytes)
        return serial_text(x509.load_der_x509_certificate(raw).serial_number)

    async def until(self, what: Callable[[], bool], most_h: int = 8) -> None:
        for _ in range(6 * most_h):
            if what():
                return
            await self.node.board.run_for(600 * SECOND)
        pytest.fail(f"not in {most_h} virtual hours; {self.node.board.console_tail[-300:]}")


@pytest.fixture
async def town(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.open(request.param)
    try:
        yield town
    finally:
        await town.close()


@pytest.mark.parametrize("town", ["mqtt", "coap"], indirect=True)
async def test_the_old_certificate_ends_with_the_first_use_of_the_new(town: Town) -> None:
    node = town.node
    await town.until(lambda: node.board.now_us > START + HOUR)
    town.store_spare(town.csr)
    old = town.serial
    first = await town.kapok("node", "rotate", node.node_id, "--certificate")
    assert await town.kapok("node", "rotate", node.node_id, "--certificate") == first
    assert sorted(town.serials().values()) == ["live", "next"], "both are good meanwhile"
    await town.until(lambda: town.serial != old)
    for name in ("key2", "csr2", "pair"):
        assert node.board.nvs.get(NAMESPACE, name) is None
    assert node.board.nvs.get(NAMESPACE, "key") == town.spare
    await town.until(lambda: town.serials() == {old: "revoked", town.serial: "live"})
    before = len(fleet_rig.query(town.fleet.data / "kapok.db", "SELECT 1 FROM readings"))
    await node.board.run_for(2 * HOUR)
    after = len(fleet_rig.query(town.fleet.data / "kapok.db", "SELECT 1 FROM readings"))
    assert after > before, "it reports by the new one"
    assert not node.board.life.crashes, node.board.console_tail
    with pytest.raises(Exception, match="no spare key"):
        await town.fleet.command("node", "rotate", node.node_id, "--certificate")


@pytest.mark.parametrize("town", ["mqtt"], indirect=True)
async def test_a_node_whose_spare_is_another_goes_on_with_the_old(town: Town) -> None:
    foreign = x509.load_pem_x509_csr(make_key_and_csr(town.node.node_id)[1])
    town.store_spare(foreign.public_bytes(Encoding.DER))
    old = town.serial
    await town.kapok("node", "rotate", town.node.node_id, "--certificate")

    def settled() -> bool:
        rows = fleet_rig.query(town.fleet.data / "kapok.db", "SELECT kind FROM alarms")
        return rows == [("rotation",)]

    await town.until(settled)
    assert town.serial == old
    assert town.serials()[old] == "live"
