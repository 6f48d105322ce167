"""A whole node whose reports go over PPP, by TLS and MQTT on the chip's sockets; its fallback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fleet_here import FleetHere

from hil.provisioning import enrol
from hil.virtual.modem.ppp_call import PppCall
from hil.virtual.net import TcpCarrier, TcpEvents
from hil.virtual.node import VirtualNode, mac_of
from tests.bench.town import grid_scene, slots_stored

WAIT_S = 60.0


class Rig:
    """A fleet, and one lamppost with an EC200."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "0")
        self.fleet = FleetHere(folder / "fleet", *free)
        self.port = 0
        self.node: VirtualNode

    async def start(self) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        self.port = (await self.fleet.start())["broker_port"]

    async def provision(self, **config: Any) -> None:
        """A node that reports after a few hours."""
        scene = grid_scene("lamppost", 40)
        mac = mac_of(f"{self.folder}")
        self.node = VirtualNode(self.folder / "node", mac, scene, seed=4, haste=5.0)
        credentials = await enrol(self.fleet, self.node.node_id, scene.role, "440106")
        self.node.provision(credentials, "localhost", self.port, **config)

    def stored(self) -> int:
        """Readings that are in the database."""
        slots = slots_stored(self.fleet.data / "kapok.db", self.node)
        return sum(sum(counter.values()) for counter in slots.values())

    async def until(self, what: Callable[[], bool]) -> None:
        await self.node.board.run_until(what, WAIT_S)

    @property
    def call(self) -> PppCall:
        """The modem's PPP."""
        ip = self.node.twin.ip
        assert ip is not None
        return ip

    def sockets(self) -> int:
        """How many connections the modem opened by itself."""
        return len(self.node.twin.connections)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    try:
        yield rig
    finally:
        await rig.node.board.stop()
        await asyncio.wait_for(rig.fleet.stop(), 60)


async def test_reports_arrive_over_ppp(rig: Rig) -> None:
    await rig.provision(bearers=["ppp", "modem"])
    await rig.until(lambda: rig.stored() >= 12 and rig.call.calls >= 2)
    assert rig.sockets() == 0
    await rig.until(lambda: not rig.call.active)
    assert not rig.node.board.life.crashes


async def test_a_dial_that_fails_falls_back_to_the_modems_sockets(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.provision(bearers=["ppp", "modem"])

    monkeypatch.setattr(rig.node.twin.family, "contexts", {})  # +CME ERROR: 3
    await rig.until(lambda: rig.stored() >= 12)
    assert rig.call.calls == 0
    assert rig.sockets() >= 1


async def test_a_link_that_never_comes_up_falls_back_too(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.provision(bearers=["ppp", "modem"])
    monkeypatch.setattr(rig.call, "_start", lambda: None)
    await rig.until(lambda: rig.stored() >= 12)
    assert rig.call.calls >= 1
    assert rig.sockets() >= 1


async def test_a_carrier_that_is_lost_in_the_handshake_falls_back_too(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.provision(bearers=["ppp", "modem"])
    twin, connect = rig.node.twin, rig.call.connect

    def connect_and_lose(address: str, port: int, events: TcpEvents) -> TcpCarrier:
        line = twin.bridge.port
        line.call_at(line.now() + 400_000, twin.deactivate)
        return connect(address, port, events)

    monkeypatch.setattr(rig.call, "connect", connect_and_lose)
    await rig.until(lambda: rig.stored() >= 12)
    assert rig.call.calls >= 1
    assert rig.sockets() >= 1


async def test_sabotage_without_a_second_bearer_nothing_arrives(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.provision(bearers=["ppp"])
    monkeypatch.setattr(rig.call, "_start", lambda: None)
    await rig.until(lambda: rig.call.calls >= 2)
    assert rig.stored() == 0
    assert rig.sockets() == 0


async def test_a_bearer_that_nobody_knows_is_told(rig: Rig) -> None:
    await rig.provision(bearers=["pigeon"])
    await rig.until(lambda: rig.node.twin.network.attaches > 0)
    await rig.until(lambda: rig.node.twin.sleeps > 0)
    assert rig.call.calls == rig.sockets() == 0
    assert not rig.node.board.life.crashes
