"""A whole gas meter that is told by `kapok serve` to close its valve, and is configured by layers.

The node's clock is virtual and runs ahead; what is signed is good for ten minutes. So each command
waits in the queue before the node's first contact, which comes at the fleet's own time.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fleet_rig
import pytest
from fleet_here import FleetHere

from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND

AREA = "440106"


class Town:
    """`kapok serve` and one gas meter that has not been switched on yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = FleetHere(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )

    async def open(self) -> None:
        await self.fleet.command("init")
        fleet_rig.one_account(self.fleet.data)
        await self.fleet.command("area", "add", AREA, "Tianhe")
        port = (await self.fleet.start())["coap_port"]
        scene = scenes.gas_meter(int(time.time()) * SECOND, 3)
        self.node = VirtualNode(self.folder / "node", mac_of(str(self.folder)), scene)
        self.node.provision(
            await enrol(self.fleet, self.node.node_id, "gas-meter", AREA),
            "localhost", port, door="coap", report_s=3600, report_records=1,
        )  # fmt: skip

    async def close(self) -> None:
        await self.node.board.stop()
        await self.fleet.stop()

    async def kapok(self, *arguments: str) -> Any:
        return json.loads(await self.fleet.command(*arguments, "--json"))

    def query(self, statement: str) -> list[Any]:
        """Rows of the fleet's database, not by the fleet's code."""
        return fleet_rig.query(self.fleet.data / "kapok.db", statement)

    async def until(self, statement: str) -> None:
        """Run the node until a query finds nothing any more."""
        for _ in range(50):
            if not self.query(statement):
                return
            await self.node.board.run_for(HOUR // 4)
        pytest.fail(f"not in 12 h: {statement}; {self.node.board.console_tail[-400:]}")


@contextlib.asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    made = Town(folder)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_a_meter_stays_open_for_one_person_and_obeys_its_area(
    tmp_path: Path,
) -> None:
    async with town(tmp_path) as t:
        valve, node_id = t.node.fittings.valve, t.node.node_id
        assert valve is not None
        words = ("command", "send", "valve-close", "--node", node_id, "--by", "Li Wei")
        assert (await t.kapok(*words))["approved"] is False
        await t.kapok("config", "set", "--area", AREA, "report_s=7200")
        await t.kapok("command", "send", "read-now", "--node", node_id)
        await t.until("SELECT 1 FROM deliveries WHERE command_id = 2 AND state <> 'executed'")
        assert not valve.closed, "one person has asked for it, and nobody else"
        await t.until("SELECT 1 FROM desired_nodes WHERE drifting OR sent = '{}'")
        (key,) = (await t.kapok("config", "show", "--node", node_id))["keys"]
        assert (key["wanted"], key["reported"], key["of"]) == (7200, 7200, f"area {AREA}")
        assert not t.node.board.life.crashes, t.node.board.console_tail


async def test_a_meter_closes_with_its_first_contact(tmp_path: Path) -> None:
    async with town(tmp_path) as t:
        valve, node_id = t.node.fittings.valve, t.node.node_id
        assert valve is not None
        await t.kapok("command", "send", "valve-close", "--node", node_id, "--by", "Li Wei")
        await t.kapok("command", "approve", "1", "--by", "Wang Fang")
        await t.until("SELECT 1 FROM commands WHERE due_us IS NOT NULL")
        assert t.query("SELECT number, state, result FROM deliveries") == [(1, "executed", 0)]
        assert valve.closed
        assert not t.node.board.life.crashes, t.node.board.console_tail
