"""A gateway and its fleet: each sub-device has a series of its own; a search by command."""

import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fleet_here import FleetHere

from hil import demo
from hil.provisioning import enrol
from hil.virtual import bus_scene
from hil.virtual.bus_scene import ADDRESSES, GAS, METER, PERIOD, POWER
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import SECOND

SILENT = 1060
START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC, when a slot begins


class Town:
    """A fleet and a gateway."""

    def __init__(self, folder: Path) -> None:
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "off")
        self.fleet = FleetHere(folder / "fleet", *free)
        self.folder = folder

    async def open(self) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        self.port = (await self.fleet.start())["broker_port"]

    async def add(self, start: int) -> None:
        self.node = VirtualNode(
            self.folder / "node", mac_of(str(self.folder)), bus_scene.gateway(start, 1)
        )
        credentials = await enrol(self.fleet, self.node.node_id, "gateway", "440106")
        self.node.provision(credentials, "localhost", self.port, report_s=1800)

    async def close(self) -> None:
        await self.node.board.stop()
        await self.fleet.stop()

    async def kapok(self, *arguments: str) -> Any:
        return json.loads(await self.fleet.command(*arguments, "--json"))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        path = self.fleet.data / "kapok.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute(statement).fetchall()

    async def until(self, statement: str, count: int) -> None:
        for _ in range(60):
            if self.rows(statement)[0][0] >= count:
                return
            await self.node.board.run_for(PERIOD // 3)
        pytest.fail(f"{statement}: {self.rows(statement)}; {self.node.board.console_tail[-300:]}")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    town = Town(tmp_path)
    await town.open()
    try:
        yield town
    finally:
        await town.close()


async def test_three_protocols_one_of_them_dead(town: Town) -> None:
    await town.add(START)
    id_ = town.node.node_id
    named = await town.kapok(
        "node", "sub", "set", id_, str(METER), "--kind", "electricity-meter", "--asset", "Shop 12"
    )
    await town.until("SELECT count(*) FROM readings WHERE quantity = 1060", 1)
    await town.until("SELECT count(*) FROM readings WHERE quantity = 24", 12)
    end = town.node.board.now_us
    town.node.scene.end(end)
    counts = demo.count(town.fleet.data / "kapok.db", [town.node], {id_: end})
    for _ in range(12):
        if counts.stored >= counts.sensed:
            break
        await town.node.board.run_for(PERIOD)
        counts = demo.count(town.fleet.data / "kapok.db", [town.node], {id_: end})
    assert counts.stored == counts.sensed >= 60
    assert (counts.lost, counts.duplicated) == (0, 0)
    subs = {one["number"]: one for one in await town.kapok("node", "sub", "list", id_)}
    assert set(subs) == {POWER, METER, GAS}
    assert subs[METER]["asset_id"] == named["asset_id"]
    by_asset = dict(
        town.rows("SELECT asset_id, group_concat(DISTINCT quantity) FROM readings GROUP BY 1")
    )
    assert by_asset[subs[GAS]["asset_id"]] == str(SILENT)
    assert len(by_asset[subs[POWER]["asset_id"]].split(",")) == bus_scene.READINGS[POWER]
    assert len(by_asset[subs[METER]["asset_id"]].split(",")) == bus_scene.READINGS[METER]


async def test_a_search_of_the_line_by_command(town: Town) -> None:
    await town.add(time.time_ns() // 1000)  # commands end: its clock must be the fleet's
    id_ = town.node.node_id
    await town.kapok("command", "send", "scan", "1", "2400", "1", "247", "--node", id_)
    await town.until("SELECT count(*) FROM found_devices", 1)
    (found,) = await town.kapok("node", "sub", "found", id_)
    assert (found["protocol"], found["address"], found["baud"]) == (
        "dlt645", ADDRESSES[METER], 2400,
    )  # fmt: skip
