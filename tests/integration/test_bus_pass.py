"""A master station reads a meter through a gateway, by its own frames and nothing but reads."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fleet_here import FleetHere

from fleet.wire import cjt188, dlt645
from hil.provisioning import enrol
from hil.virtual import bus_scene
from hil.virtual.node import VirtualNode, mac_of

PLATE = bus_scene.ADDRESSES[bus_scene.METER]


class Session:
    """A fleet, a gateway, and `kapok node sub pass`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "off")
        self.fleet = FleetHere(folder / "fleet", *free)

    async def open(self) -> None:
        await self.fleet.command("init")
        await self.fleet.command("area", "add", "440106", "Tianhe")
        port = (await self.fleet.start())["broker_port"]
        # Commands end: the node's clock must be the fleet's.
        scene = bus_scene.gateway(time.time_ns() // 1000, 1)
        mac = mac_of(str(self.folder))
        self.node = VirtualNode(self.folder / "node", mac, scene, haste=2.0)
        credentials = await enrol(self.fleet, self.node.node_id, "gateway", "440106")
        self.node.provision(credentials, "localhost", port)
        self.cli = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet", "--data", str(self.fleet.data), "node", "sub", "pass",
            self.node.node_id, "--seconds", "20", "--wait", "60",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert b"waiting" in await self.line()
        self.node.board.start()

    async def line(self) -> bytes:
        assert self.cli.stdout is not None
        return await asyncio.wait_for(self.cli.stdout.readline(), 60)

    async def close(self) -> None:
        await self.node.board.stop()
        if self.cli.returncode is None:
            self.cli.kill()
        await self.cli.wait()
        await self.fleet.stop()


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    opened = Session(tmp_path)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


async def test_a_master_station_reads_and_cannot_write(session: Session) -> None:
    found = re.search(rb"connects to 127\.0\.0\.1:(\d+)", await session.line())
    assert found
    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
    devices = session.node.scene.bus.devices  # type: ignore[union-attr]
    before = devices[2].asked

    # A write to the gas meter's valve and a relay's command go nowhere; behind them the read does.
    writer.write(cjt188.valve_request(cjt188.GAS, "78330011223344", cjt188.OPEN, 0))
    writer.write(dlt645.encode(PLATE, dlt645.CONTROL, bytes(8)))
    writer.write(dlt645.WAKE + dlt645.read_request(PLATE, 0x02010100))
    frame = await asyncio.wait_for(reader.readuntil(b"\x16"), 60)
    data, _ = dlt645.read_reply(frame, PLATE, 0x02010100)
    assert dlt645.bcd(data) == 2310
    assert devices[2].asked == before, "the gas meter heard nothing"

    # A read that comes in pieces, of a meter that is dead, and one that lives.
    ask = dlt645.read_request("000000000999", 0x00010000) + dlt645.read_request(PLATE, 0x02060000)
    writer.write(ask[:7])
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(ask[7:])
    frame = await asyncio.wait_for(reader.readuntil(b"\x16"), 60)
    assert dlt645.bcd(dlt645.read_reply(frame, PLATE, 0x02060000)[0], signed=True) == 987
    writer.close()

    out, err = await asyncio.wait_for(session.cli.communicate(), 60)
    assert b"over: 5 frames, 2 answers" in out
    assert err.count(b"not passed") == 2
    assert session.cli.returncode == 0
