"""A whole node that comes by CoAP to `kapok serve`: it reports, is configured, gets a new key."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import coap_rig
import fleet_rig
import pytest
from aiocoap import Message
from coap_rig import Node
from fleet_here import FleetHere

from fleet.control import operations as control
from fleet.db.base import Database
from fleet.settings import load
from fleet.wire import cbor
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import NAMESPACE, VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND

START = 1_795_392_000 * SECOND  # 2026-11-23 00:00:00 UTC
UNAUTHORIZED = 0x81


class Town:
    """`kapok serve` and one gas meter that comes by CoAP."""

    def __init__(self, folder: Path, family: str) -> None:
        self.folder = folder
        self.fleet = FleetHere(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )
        self.path = self.fleet.data / "kapok.db"
        self.scene = scenes.gas_meter(START, 3, f"esp32s3-{family}")

    async def open(self) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        self.port = (await self.fleet.start())["coap_port"]
        self.node = VirtualNode(self.folder / "node", mac_of(str(self.folder)), self.scene)
        self.key = await enrol(self.fleet, self.node.node_id, "gas-meter", "440106")
        self.node.provision(
            self.key, "localhost", self.port, door="coap", report_s=21600, report_records=3
        )

    async def close(self) -> None:
        await self.node.board.stop()
        await self.fleet.stop()

    async def kapok(self, *arguments: str) -> Any:
        """A command about the node, by its JSON."""
        out = await self.fleet.command("node", arguments[0], self.node.node_id, *arguments[1:],
                                       "--json")  # fmt: skip
        return json.loads(out)

    def stored(self) -> dict[int, int]:
        """Value by time in us; none may be there twice."""
        rows = fleet_rig.query(self.path, "SELECT time_us, value FROM readings WHERE quantity = 1")
        assert len({time for time, _ in rows}) == len(rows), "a reading was stored twice"
        return dict(rows)

    async def more(self, count: int) -> None:
        """Run the node until so many more readings are stored."""
        wanted = len(self.stored()) + count
        for _ in range(100):
            if len(self.stored()) >= wanted:
                return
            await self.node.board.run_for(HOUR // 2)
        pytest.fail(f"no report: {self.node.board.console_tail[-400:]}")

    def nvs(self, key: str) -> Any:
        """What a blob of the node's NVS says."""
        value = self.node.board.nvs.get(NAMESPACE, key)
        assert isinstance(value, bytes)
        return cbor.decode(value)

    async def poll(self, key: Any) -> Message:
        """The fleet's answer to a poll under [kid, secret]."""
        link = coap_rig.Link(self.port)
        try:
            return await link.ask(Node(self.node.node_id, *key))
        finally:
            link.close()


@contextlib.asynccontextmanager
async def town(folder: Path, family: str) -> AsyncIterator[Town]:
    made = Town(folder, family)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_a_node_is_configured_and_gets_a_new_key_over_the_air(tmp_path: Path) -> None:
    async with town(tmp_path, "bc660k") as t:
        await t.more(3)
        number = (await t.kapok("configure", "report_s=7200", "report_records=2"))["number"]
        await t.more(6)
        assert t.nvs("cfg")["report_s"] == 7200
        shown = (await t.kapok("show"))["configuration"]
        assert shown["applied"] == shown["handled"] == number
        assert (shown["refused"], shown["values"]) == (0, {"report_s": 7200, "report_records": 2})

        old = t.nvs("oscore")
        await t.kapok("rotate")
        await t.more(4)
        new = t.nvs("oscore")
        assert old[0] != new[0]
        await t.more(4)
        keys = {key["kid"]: key["state"] for key in (await t.kapok("show"))["oscore"]}
        assert keys[new[0].hex()] == "current"
        assert keys.get(old[0].hex(), "retired") == "retired"
        refused = await t.poll(old)
        assert (int(refused.code), refused.opt.oscore) == (UNAUTHORIZED, None)

        await t.kapok("configure", "pins={}")
        await t.more(6)
        shown = (await t.kapok("show"))["configuration"]
        assert shown["refused"] == shown["handled"] == number + 2
        assert (shown["applied"], t.nvs("cfg")["report_s"]) == (number, 7200)
        for time_us, value in t.scene.given:
            if time_us in t.stored():
                assert t.stored()[time_us] == value
        assert len(t.stored()) >= 20


async def test_a_bc95_node_fetches_a_large_item_and_tells_that_it_refused_it(
    tmp_path: Path,
) -> None:
    async with town(tmp_path, "bc95") as t:
        await t.more(3)
        opened = contextlib.closing(Database(load(t.fleet.data).database_url))
        with opened as database, database.begin() as session:
            number = control.enqueue(
                session, t.node.node_id, control.CONFIG, cbor.encode({"no key": "x" * 1400})
            )
        await t.more(6)
        shown = (await t.kapok("show"))["configuration"]
        assert (shown["applied"], shown["handled"], shown["refused"]) == (0, number, number)
