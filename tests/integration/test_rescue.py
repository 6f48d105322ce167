"""When the slot does not start: the rescue application links up, says so, and takes items."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fleet_here import FleetHere

from fleet.releases import slots
from fleet.wire import cbor
from hil.provisioning import enrol
from hil.virtual import firmware, scenes
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of
from hil.virtual.scenes import SECOND, Scene

START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC
RESCUED = 4  # of firmware/node/errors.py
SAYS = "kapok: the slot does not start, so the rescue application does"
UNCHECKED = (b"if hasher.digest() != digest:", b"if False:")


class Node:
    """A node of a fleet, and what its console said."""

    def __init__(self, folder: Path, fleet: FleetHere, scene: Scene) -> None:
        self.fleet = fleet
        self.lines: list[str] = []
        self.virtual = VirtualNode(folder, mac_of(str(folder)), scene, console=self.lines.append)
        self.board = self.virtual.board

    def write(self, files: dict[str, bytes]) -> None:
        """These and no others are in the vfs partition."""
        firmware.wipe(self.board.flash_path, self.board.table, files)

    async def provision(self, ports: dict[str, Any], **config: Any) -> None:
        credentials = await enrol(
            self.fleet, self.virtual.node_id, self.virtual.scene.role, "440106"
        )
        self.virtual.provision(
            credentials, "localhost", config.pop("port", ports["broker_port"]), **config
        )

    async def told(self) -> dict[str, Any]:
        listed = json.loads(await self.fleet.command("node", "list", "--json"))
        found = next(one for one in listed if one["id"] == self.virtual.node_id)
        status: dict[str, Any] = found["status"]
        return status

    async def sleeps(self) -> None:
        """Run to the end of this wake."""
        before = self.board.life.sleeps
        await self.board.run_until(lambda: self.board.life.sleeps > before)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetHere]:
    process = FleetHere(
        tmp_path / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
    )
    await process.command("init")
    await process.command("area", "add", "440106", "Tianhe")
    yield process
    await process.stop()


async def rescued(
    tmp_path: Path, fleet: FleetHere, damage: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> Node:
    """A node whose files are `damage`d before its first boot, after its first wake."""
    ports = await fleet.start()
    node = Node(tmp_path / "node", fleet, scenes.gas_meter(START, 1))
    node.write(damage(node.virtual.files))
    await node.provision(ports)
    await node.sleeps()
    return node


def truncated(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "/a.romfs": files["/a.romfs"][:-5000]}


def flipped(files: dict[str, bytes]) -> dict[str, bytes]:
    image = bytearray(files["/a.romfs"])
    image[40_000] ^= 1
    return {**files, "/a.romfs": bytes(image)}


def without(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != "/a.romfs"}


def unimportable(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "/a.romfs": slots.slot_image({"node/main.mpy": b"M\x05 of another runtime"})}


@pytest.mark.parametrize("damage", [without, truncated, flipped, unimportable])
async def test_a_node_without_its_slot_reports_so_to_the_fleet(
    tmp_path: Path, fleet: FleetHere, damage: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    node = await rescued(tmp_path, fleet, damage)
    try:
        assert SAYS in node.lines
        assert (await node.told())["6"] == RESCUED
        assert not node.board.life.crashes, node.lines
    finally:
        await node.board.stop()


async def test_the_rescue_application_takes_items_and_the_slot_comes_back(
    tmp_path: Path, fleet: FleetHere
) -> None:
    node = await rescued(tmp_path, fleet, without)
    try:
        await fleet.command("node", "configure", node.virtual.node_id, "report_records=2")
        await node.sleeps()
        raw = node.board.nvs.get(NAMESPACE, "cfg")
        assert isinstance(raw, bytes)
        values = cbor.decode(raw)
        assert isinstance(values, dict)
        assert values["report_records"] == 2
        await node.sleeps()
        listed = json.loads(
            await fleet.command("node", "downlinks", node.virtual.node_id, "--json")
        )
        assert [each["state"] for each in listed] == ["settled"]
        await node.board.power_cut()
        node.write(node.virtual.files)
        node.lines.clear()
        node.board.power_on()
        await node.sleeps()
        assert SAYS not in node.lines
        assert not node.board.life.crashes, node.lines
    finally:
        await node.board.stop()


async def test_the_rescue_application_goes_by_coap_too(tmp_path: Path, fleet: FleetHere) -> None:
    ports = await fleet.start()
    node = Node(tmp_path / "node", fleet, scenes.gas_meter(START, 1))
    try:
        node.write(without(node.virtual.files))
        await node.provision(ports, door="coap", port=ports["coap_port"])
        await node.sleeps()
        assert (await node.told())["6"] == RESCUED
    finally:
        await node.board.stop()


async def test_without_a_network_it_comes_back_ever_later(
    tmp_path: Path, fleet: FleetHere
) -> None:
    node = await rescued(tmp_path, fleet, without)
    try:
        await fleet.stop()
        began = node.board.now_us
        wakes = 0
        while node.board.now_us < began + 24 * 3600 * SECOND:
            await node.sleeps()
            wakes += 1
        assert 3 < wakes < 20
        assert not node.board.life.crashes, node.lines
    finally:
        await node.board.stop()


async def test_without_the_check_a_damaged_image_would_be_installed(
    tmp_path: Path, fleet: FleetHere
) -> None:
    def damage(files: dict[str, bytes]) -> dict[str, bytes]:
        changed = flipped(files)
        assert UNCHECKED[0] in changed["/boot.py"]
        changed["/boot.py"] = changed["/boot.py"].replace(*UNCHECKED)
        return changed

    node = Node(tmp_path / "node", fleet, scenes.gas_meter(START, 1))
    try:
        node.write(damage(node.virtual.files))
        before = node.board.life.sleeps + node.board.life.crashes
        await node.board.run_until(
            lambda: node.board.life.sleeps + node.board.life.crashes > before
        )
        assert not any("damaged" in line for line in node.lines)
    finally:
        await node.board.stop()
