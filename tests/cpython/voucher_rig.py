"""A fleet that gives vouchers to a laptop, and virtual boards that were flashed from it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fleet_rig
from fleet_here import FleetHere

from fleet.flashing import offline
from fleet.flashing.offline import Prepared
from fleet.flashing.vouchers import VoucherFile
from hil.virtual import scenes
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of
from hil.virtual.scenes import SECOND

START = 1_795_392_000 * SECOND  # 2026-11-23 00:00:00 UTC
AREA = "440106"
PERSON = "wang"
# Gone once a node has its own identity.
CLAIM_KEYS = ("vid", "vkey", "vcert", "vosc", "csr")


class Basement:
    """`kapok serve`, a laptop with vouchers, and gas meters that were provisioned from it."""

    def __init__(self, folder: Path, door: str, *settings: str, family: str = "bc660k") -> None:
        self.folder = folder
        self.door = door
        self.family = family
        self.fleet = FleetHere(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0", *settings
        )
        self.file = VoucherFile(folder / "laptop" / "vouchers.json")
        self.nodes: list[VirtualNode] = []

    async def open(self, count: int = 2) -> None:
        """Serve, and pull vouchers."""
        await self.fleet.command("init")
        await self.fleet.command("area", "add", AREA, "Tianhe")
        self.url = str((await self.fleet.start())["enrol_url"])
        made = await self.fleet.command(
            "token", "add", "--person", PERSON, "--area", AREA, "--node", "gas-meter",
            "--count", "10", "--days", "1", "--json",
        )  # fmt: skip
        self.token = str(json.loads(made)["token"])
        await self.pull(count)

    async def pull(self, count: int = 1) -> None:
        """More vouchers, over HTTPS."""
        await self.fleet.command(
            "voucher", "pull", "--count", str(count), "--node", "gas-meter", "--fleet", self.url,
            "--token", self.token, "--file", str(self.file.path),
        )  # fmt: skip

    async def push(self) -> list[dict[str, Any]]:
        """Tell what was used, over HTTPS."""
        told = await self.fleet.command(
            "voucher", "push", "--fleet", self.url, "--token", self.token,
            "--file", str(self.file.path), "--json",
        )  # fmt: skip
        found: list[dict[str, Any]] = json.loads(told)
        return found

    async def close(self) -> None:
        """End what runs."""
        for node in self.nodes:
            await node.board.stop()
        await self.fleet.stop()

    def node(self, name: str = "1") -> VirtualNode:
        """A blank board."""
        scene = scenes.gas_meter(START, 3, f"esp32s3-{self.family}")
        made = VirtualNode(self.folder / f"node{name}", mac_of(name + str(self.folder)), scene)
        self.nodes.append(made)
        return made

    def prepare(self, node: VirtualNode) -> Prepared:
        """What the laptop would write to the board's NVS."""
        config = {
            "role": node.scene.role, "modem": node._description.modem, "apn": "",
            "pins": node._description.pins, **node.scene.config,
            "door": self.door, "report_s": 7200, "report_records": 2,
        }  # fmt: skip
        return offline.prepare(self.file, node.board.mac, "gas-meter", config)

    def flash(self, node: VirtualNode, prepared: Prepared | None = None) -> Prepared:
        """Provision a board offline."""
        prepared = prepared or self.prepare(node)
        for key, value in prepared.values[NAMESPACE].items():
            assert isinstance(value, bytes)
            node.board.nvs.set_blob(NAMESPACE, key, value)
        offline.finish(self.file, prepared)
        return prepared

    async def claimed(self, node: VirtualNode, timeout_s: float = 60) -> None:
        """Run until the node has an identity, and nothing of a voucher."""
        nvs = node.board.nvs
        await node.board.run_until(
            lambda: nvs.get(NAMESPACE, "cert") is not None and nvs.get(NAMESPACE, "vid") is None,
            timeout_s,
        )
        assert all(nvs.get(NAMESPACE, key) is None for key in CLAIM_KEYS)

    async def started(self, node: VirtualNode, until: Callable[[], bool]) -> None:
        """Run until something is true, however often that must be asked."""
        await node.board.run_until(until, 60)

    async def reported(self, node: VirtualNode, count: int = 1) -> None:
        """Run until readings of the node are stored."""
        await node.board.run_until(lambda: self.readings(node) >= count, 60)

    def query(self, statement: str, *arguments: object) -> list[Any]:
        """What the database says, by plain SQL."""
        return fleet_rig.query(self.fleet.data / "kapok.db", statement, *arguments)

    def readings(self, node: VirtualNode) -> int:
        """How many are stored."""
        counted = self.query("SELECT count(*) FROM readings WHERE terminal_id = ?", node.node_id)
        return int(counted[0][0])

    async def vouchers(self) -> dict[str, dict[str, Any]]:
        """The fleet's, by claim id."""
        listed = json.loads(await self.fleet.command("voucher", "list", "--json"))
        return {one["claim_id"]: one for one in listed}

    def log(self) -> list[dict[str, Any]]:
        """The fleet's log."""
        lines = self.fleet.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def refusals(self) -> list[str]:
        """Why claims were refused."""
        return [one["reason"] for one in self.log() if one["event"] == "a voucher is refused"]
