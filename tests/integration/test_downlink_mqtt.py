"""Configuration over the air by MQTT, on the virtual board and with a real fleet."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fleet_here import FleetHere

from fleet.wire import cbor
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND, Scene

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC


class Town:
    """A fleet and a node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = FleetHere(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "off"
        )

    async def open(self) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        self.port = (await self.fleet.start())["broker_port"]

    async def close(self) -> None:
        await self.node.board.stop()
        await self.fleet.stop()

    async def add(self, scene: Scene, **config: Any) -> None:
        self.node = VirtualNode(self.folder / "node", mac_of(str(self.folder)), scene)
        credentials = await enrol(self.fleet, self.node.node_id, scene.role, "440106")
        self.node.provision(credentials, "localhost", self.port, **config)

    async def kapok(self, *arguments: str) -> Any:
        return json.loads(await self.fleet.command(*arguments, "--json"))

    async def states(self) -> dict[int, str]:
        """Of each item by its number."""
        listed = await self.kapok("node", "downlinks", self.node.node_id)
        return {each["number"]: each["state"] for each in listed}

    @property
    def config(self) -> dict[str, Any]:
        """What is in the node's NVS."""
        raw = self.node.board.nvs.get(NAMESPACE, "cfg")
        assert isinstance(raw, bytes)
        found = cbor.decode(raw)
        assert isinstance(found, dict)
        return found

    async def until(self, what: Callable[[], bool], most_h: int = 24) -> None:
        for _ in range(6 * most_h):
            if what():
                return
            await self.node.board.run_for(600 * SECOND)
        pytest.fail(f"not in {most_h} virtual hours; {self.node.board.console_tail[-300:]}")

    async def hours(self, count: int) -> None:
        await self.node.board.run_for(count * HOUR)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.open()
    try:
        yield town
    finally:
        await town.close()


def hourly() -> Scene:
    """A sensor that calls every hour."""
    return scenes.drainage(
        START + 300 * SECOND, [(START + (600 + 3600 * i) * SECOND, 1.0) for i in range(48)]
    )


async def test_a_sleeping_node_takes_its_configuration_with_its_receipt(town: Town) -> None:
    await town.add(hourly(), report_records=1)
    await town.until(lambda: town.node.board.now_us > START + HOUR)
    await town.kapok("node", "configure", town.node.node_id, "report_records=2", "tau_s=86400")
    await town.kapok("node", "configure", town.node.node_id, "pins={}")
    await town.kapok("node", "configure", town.node.node_id, "awake_s=1")
    await town.kapok("node", "configure", town.node.node_id, "tau_s=")
    before = town.config
    await town.until(lambda: town.config != before, 4)
    await town.hours(4)
    assert town.config == {**before, "report_records": 2}
    assert await town.states() == {1: "settled", 2: "refused", 3: "refused", 4: "settled"}
    assert not town.node.board.life.crashes, town.node.board.console_tail
    assert town.node.journal().depth <= 2  # two wait for a moment of the node's own


async def test_a_mains_node_starts_anew_with_its_new_plan(town: Town) -> None:
    scene = scenes.Scene("lamppost", "esp32-ec200", {"sample_s": 900}, START)
    await town.add(scene, report_s=900, report_records=1, lamp_plan=["00:00", 1000])
    await town.until(lambda: town.node.board.now_us > START + HOUR)
    assert "hard" not in +town.node.board.resets
    await town.kapok("node", "configure", town.node.node_id, 'lamp_plan=["00:00",250]')
    await town.until(lambda: town.config["lamp_plan"] == ["00:00", 250], 2)
    await town.hours(1)
    assert town.node.board.resets["hard"] == 1
    assert await town.states() == {1: "settled"}
    assert not town.node.board.life.crashes, town.node.board.console_tail


async def test_a_node_that_a_configuration_cuts_off_comes_back_by_itself(town: Town) -> None:
    await town.add(hourly(), report_records=1)
    await town.until(lambda: town.node.board.now_us > START + HOUR)
    before = town.config
    await town.kapok("node", "configure", town.node.node_id, "port=1")
    taken = False
    for _ in range(6 * 60):
        await town.node.board.run_for(60 * SECOND)
        taken = taken or town.config["port"] == 1
        if taken and town.config == before:
            break
    assert town.config == before
    await town.hours(3)
    assert await town.states() == {1: "refused"}
    assert town.node.journal().depth < 2, "it reports again"
    assert not town.node.board.life.crashes, town.node.board.console_tail
