"""A gas meter on a virtual board with a real fleet: a leak closes its valve, a command arms it, a
hand opens it; what went wrong on the way is in the fleet's database.

A command ends ten minutes after the fleet's clock gave it out, and that runs in real time: each
board begins some hours ago, and has caught up when one is sent.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import fleet_rig
import pytest
from fleet_here import FleetHere

from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import Credentials, VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND, Scene
from hil.virtual.stimulus import Do, Pulse

LEAK, GAS, COVER, FAULT, CLOSED = 1001, 1006, 1010, 1013, 1015
START = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC
BUTTON = 6


class House:
    """A fleet and one meter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "0")
        self.fleet = FleetHere(folder / "fleet", *free)
        self.node: VirtualNode
        self.start = 0

    async def open(self, hours: int, schedule: Any = (), **config: Any) -> None:
        """`hours` ago."""
        await self.fleet.command("init")
        fleet_rig.one_account(self.fleet.data)
        await self.fleet.command("area", "add", "440106", "Tianhe")
        port = (await self.fleet.start())["coap_port"]
        self.start = time.time_ns() // 1000 - hours * HOUR
        keys = {"report_s": 86400, "report_records": 100, **config}
        scene = Scene("gas-meter", "esp32s3-bc660k", keys, self.start)
        scene._schedule = iter(schedule(self) if callable(schedule) else schedule)
        self.node = VirtualNode(self.folder / "node", mac_of(str(self.folder)), scene)
        credentials = await enrol(self.fleet, self.node.node_id, "gas-meter", "440106")
        self.node.provision(credentials, "localhost", port, door="coap")

    def stored(self, quantity: int) -> list[int]:
        """Values in order of time."""
        path = self.fleet.data / "kapok.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute(
                "SELECT value FROM readings WHERE quantity = ? ORDER BY time_us, id", (quantity,)
            ).fetchall()
        return [value for (value,) in rows]

    async def command(self, *words: str) -> int:
        """Asked for by one person and approved by another; its id."""
        sent = await self.fleet.command(
            "command", "send", *words, "--node", self.node.node_id, "--by", "Li Wei", "--json"
        )
        number = json.loads(sent)["id"]
        if words[0].startswith("valve"):
            await self.fleet.command("command", "approve", str(number), "--by", "Wang Fang")
        return int(number)

    async def state(self, number: int) -> str:
        """What became of a command."""
        shown = json.loads(await self.fleet.command("command", "show", str(number), "--json"))
        return str(shown["parts"][0]["state"])

    async def catch_up(self) -> None:
        """Until its clock is the fleet's."""
        board = self.node.board
        while (behind := time.time_ns() // 1000 - board.now_us) > 5 * SECOND:
            await board.run_for(behind)

    async def report(self) -> None:
        """Somebody presses the button shortly."""
        await self.catch_up()
        self.node.board.press(BUTTON)
        await self.node.board.run_for(60 * SECOND)

    async def until(self, what: Callable[[], bool], most_h: int = 30) -> None:
        for _ in range(12 * most_h):
            if what():
                return
            await self.node.board.run_for(300 * SECOND)
        pytest.fail(f"not in {most_h} virtual hours; {self.node.board.console_tail[-300:]}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    try:
        yield house
    finally:
        if hasattr(house, "node"):
            await house.node.board.stop()
        await house.fleet.stop()


async def test_a_leak_closes_a_command_arms_and_a_hand_opens(house: House) -> None:
    def drips(house: House) -> Any:  # 60 l/h
        return [(house.start + (i + 1) * 600 * SECOND, Pulse(4, 2_000_000)) for i in range(60)]

    await house.open(5, drips, leak_s=3600)
    node, valve = house.node, house.node.fittings.valve
    assert valve is not None
    await house.until(lambda: valve.closed, 4)
    await house.until(lambda: house.stored(CLOSED) == [1], 1)
    assert house.stored(LEAK) == [1]
    assert house.stored(43) == [1], "the reason"
    node.board.press(BUTTON, hold_us=4_000_000)
    await node.board.run_for(300 * SECOND)
    assert valve.closed, "without leave a hand opens nothing"
    await house.catch_up()
    armed = await house.command("valve-arm", "3600")
    await house.report()
    assert await house.state(armed) == "executed"
    assert valve.closed, "leave alone opens nothing"
    node.board.press(BUTTON, hold_us=5_000_000)
    await house.until(lambda: valve.position == 0, 1)
    await house.until(lambda: house.stored(CLOSED) == [1, 0], 1)
    assert valve.openings == 1
    assert valve.runs["valve_close"] == 1
    assert not node.board.life.crashes, node.board.life.last_crash
    assert not node.board.resets["watchdog"]


async def test_gas_closes_at_once_and_a_knock_makes_no_contact(house: House) -> None:
    def world(house: House) -> Any:
        def shake(mg: int) -> None:
            assert house.node.fittings.accelerometer is not None
            house.node.fittings.accelerometer.shake(mg)

        at = house.start + 2 * HOUR
        return [
            (at, Do(lambda: shake(800))),
            (at + 400_000, Do(lambda: shake(0))),
            (at + 900 * SECOND, Do(lambda: house.node.fittings.gas(200))),
        ]

    await house.open(4, world)
    node, valve = house.node, house.node.fittings.valve
    assert valve is not None
    node.board.power_on()
    await node.board.run_until(lambda: node.board.now_us > house.start + 2 * HOUR - 5 * SECOND, 60)
    wakes, sent = node.board.life.wakes, node.twin.up_bytes
    await node.board.run_for(60 * SECOND)
    assert node.board.life.wakes == wakes + 1, "it looks"
    assert node.twin.up_bytes == sent, "and says nothing"
    await house.until(lambda: valve.closed, 1)
    assert node.board.now_us < house.start + 2 * HOUR + 1500 * SECOND
    await house.until(lambda: house.stored(CLOSED) == [1], 1)
    assert house.stored(GAS) == [1]
    assert house.stored(1008) == []


async def test_power_that_fails_while_the_valve_closes_leaves_it_closed(house: House) -> None:
    await house.open(1)
    node, valve = house.node, house.node.fittings.valve
    assert valve is not None
    await house.catch_up()
    close = await house.command("valve-close")
    node.board.press(BUTTON)
    await node.board.run_until(lambda: 300 < valve.position < 700, 60)
    await node.board.power_cut()
    assert 0 < valve.position < 1000
    node.board.power_on()
    await house.until(lambda: valve.closed, 1)
    await node.board.run_for(120 * SECOND)
    assert await house.state(close) == "refused", "told as cut short, and not begun again"
    assert valve.runs["valve_close"] == 2, "the command's, and what finished it"


async def test_a_stuck_valve_is_a_fault_that_the_fleet_hears_of(house: House) -> None:
    await house.open(1)
    valve = house.node.fittings.valve
    assert valve is not None
    valve.jam = 400
    await house.catch_up()
    close = await house.command("valve-close")
    await house.report()
    await house.until(lambda: house.stored(FAULT) == [1], 1)
    assert await house.state(close) == "refused"
    valve.jam = None
    await house.until(lambda: valve.closed, 3)
    await house.report()
    assert house.stored(FAULT) == [1, 0]


async def test_the_scene_of_a_leak_ends_when_the_valve_is_closed(tmp_path: Path) -> None:
    scene = scenes.gas_leak(START)
    node = VirtualNode(tmp_path / "node", mac_of("leak"), scene)
    node.provision(
        Credentials(b"k", b"c", b"r", b"\x82\x43abc\x50" + bytes(16)), "h", 1, door="coap"
    )
    node.twin.network.set_coverage(False)
    valve = node.fittings.valve
    assert valve is not None
    try:
        node.board.power_on()
        await node.board.run_until(lambda: valve.closed, 120)
        assert 4 * HOUR < node.board.now_us - START < 7 * HOUR
        pulses = scene.pulses
        await node.board.run_for(3 * HOUR)
        assert scene.pulses <= pulses + 1
        assert not node.board.life.crashes
    finally:
        await node.board.stop()
