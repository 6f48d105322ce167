"""`kapok demo`: a fleet and five virtual nodes, a live table, and a count of what was lost."""

import asyncio
import contextlib
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fleet.errors import Refusal
from hil import highlights
from hil.demo_alarms import AlarmLines
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import bus_scene, lamp_scene, scenes
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.pace import Clocked
from hil.virtual.stimulus import read_trace

AREA = ("440106", "Tianhe")
RATE = 3600  # an hour passes in a second
TELL_S = 10.0  # where there is no terminal, a line tells the progress this often
JUMP_S = 1.0  # real seconds that any jump takes at most: traces have gaps of weeks
TALES = 4  # lines of each node's tale, the newest
DRAIN_S = 90.0  # real seconds that the last reports may take
START = 300  # virtual s before the first row of a trace: a cold start attaches first
# By door: its port's name in run.json, and what else such a node is told. With datagrams it sleeps
# in PSM as soon as the network lets go of it.
DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "mqtt": ("broker_port", {}),
    "coap": ("coap_port", {"tau_s": 86_400, "active_s": 0}),
}


# What counts of a node's readings: those that its scene tells of, all of an asset where it names
# none, no events and nothing about the node itself.
COUNT = """
    SELECT count(*), count(DISTINCT asset_id || '/' || quantity || '@' || time_us) FROM readings
    WHERE terminal_id = ? AND time_us < ?
    AND quantity < 100 AND (? = '' OR instr(?, ',' || quantity || ','))
"""
SHOW = """
    SELECT sum(time_us < ?), max(received_us) FROM readings
    WHERE terminal_id = ? AND quantity < 100 AND (? = '' OR instr(?, ',' || quantity || ','))
"""


class DemoError(Refusal, RuntimeError):
    """The demo cannot go on; one line says why."""


@dataclass(frozen=True)
class Counts:
    """Readings of all nodes."""

    sensed: int
    stored: int
    lost: int
    duplicated: int

    def line(self) -> str:
        """The demo's last line."""
        return (
            f"sensed {self.sensed} stored {self.stored} "
            f"lost {self.lost} duplicated {self.duplicated}"
        )


def count(database: Path, nodes: list[VirtualNode], end_us: dict[str, int]) -> Counts:
    """Compare what the scenes gave with what an SQL query of its own finds in the database.

    What nodes tell of themselves, and events, are no readings that a stimulus gives.
    """
    sensed = stored = distinct = lost = 0
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for node in nodes:
            end = end_us[node.node_id]
            rows, different = connection.execute(
                COUNT,
                (node.node_id, node.scene.bound(end), *counted(node)),
            ).fetchone()
            given = node.scene.sensed(end)
            sensed, stored, distinct = sensed + given, stored + rows, distinct + different
            lost += max(0, given - different)
    return Counts(sensed, stored, lost, stored - distinct)


def counted(node: VirtualNode) -> tuple[str, str]:
    """What COUNT and SHOW ask for."""
    listed = "".join(f",{quantity}," for quantity in node.scene.quantities)
    return listed, listed


def stored_of(database: Path, node: VirtualNode, before_us: int) -> tuple[int, int | None]:
    """Readings of a node before a time, and when its newest came in (us since 1970 UTC)."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows, newest = connection.execute(
            SHOW,
            (before_us, node.node_id, *counted(node)),
        ).fetchone()
    return rows or 0, newest


class Role(NamedTuple):
    """What a node is, and by which of DOORS it reports."""

    scene: scenes.Scene
    door: str


def make_roles(trace: Path | None) -> list[Role]:
    """Two gas meters, one behind a leak, a drainage point with a storm a day, a lamppost and a
    gateway with a dead meter among its three, that start at the same virtual time.
    """
    if trace is None:
        start = int(time.time()) // 3600 * 3600 * scenes.SECOND
        drain = scenes.manhole(start, 1)
    else:
        levels = list(read_trace(trace))
        if not levels:
            raise DemoError(f"{trace}: the trace has no values")
        start = levels[0][0] - START * scenes.SECOND
        drain = scenes.drainage(start, levels)
    return [
        Role(scenes.gas_leak(start), "coap"),
        Role(scenes.gas_meter(start, 2, "esp32s3-bc95"), "coap"),
        Role(drain, "coap"),
        Role(lamp_scene.lamppost(start, 1), "mqtt"),
        Role(bus_scene.gateway(start, 1), "mqtt"),
    ]


class DemoPace:
    """RATE virtual seconds in a real one, until `hurry` is set."""

    def __init__(self) -> None:
        self.hurry = asyncio.Event()

    async def before_jump(self, board: Clocked, until_us: int) -> None:
        """Wait as long as the jump takes at this rate, JUMP_S at most."""
        seconds = min((until_us - board.now_us) / scenes.SECOND / RATE, JUMP_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.hurry.wait(), seconds)


class Demo:
    """One run in `folder`, for `seconds` or until it is cancelled."""

    def __init__(self, folder: Path, seconds: float | None, trace: Path | None) -> None:
        self.folder = folder
        self.seconds = seconds
        self.roles = make_roles(trace)
        self.fleet = FleetProcess(
            folder / "fleet", "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )
        self.nodes: list[VirtualNode] = []
        self._doors: dict[str, str] = {}  # by node id
        self.console = Console()
        self._wake = asyncio.Event()
        self._told = time.monotonic()
        self._pace = DemoPace()
        self._ends: dict[str, int] = {}  # when each node's stimulus ended, virtual us

    def stop(self) -> None:
        """Let the run end early, with its summary."""
        self._wake.set()

    async def run(self) -> Counts:
        """The whole demo; DemoError, FleetError or BoardError when it cannot run."""
        say = self.console.print
        say("making a data folder and a certificate authority ...")
        await self.fleet.command("init")
        await self.fleet.command("area", "add", *AREA)
        say("starting the fleet ...")
        addresses = await self.fleet.start()
        try:
            for i, role in enumerate(self.roles):
                await self._add_node(i, role, addresses)
            counts = await self._watch()
            for node in self.nodes:
                for line in node.scene.tale()[-TALES:]:
                    say(line, soft_wrap=True)
            return counts
        finally:
            for node in self.nodes:
                await node.board.stop()
            await self.fleet.stop()

    async def _add_node(self, i: int, role: Role, addresses: dict[str, Any]) -> None:
        scene, door = role
        name = f"{scene.role} {scene.board}"
        mac = mac_of(f"demo {name}")
        node = VirtualNode(self.folder / name, mac, scene, seed=i, pace=self._pace)
        modem = node.twin.family.table.model
        self.console.print(f"enrolling {scene.role} {node.node_id}: {modem}, {door} ...")
        credentials = await enrol(self.fleet, node.node_id, scene.role, AREA[0])
        port, more = DOORS[door]
        node.provision(credentials, "localhost", addresses[port], door=door, **more)
        self.nodes.append(node)
        self._doors[node.node_id] = door
        node.board.start()

    async def _watch(self) -> Counts:
        with (
            contextlib.closing(AlarmLines(self.database)) as alarms,
            Live(self._table(), console=self.console, auto_refresh=False) as live,
        ):
            end = None if self.seconds is None else time.monotonic() + self.seconds
            while not self._wake.is_set() and (end is None or time.monotonic() < end):
                await self._pause(0.5)
                self._show(live)
                for line in alarms.new():
                    self.console.print(line, soft_wrap=True, markup=False)
            for node in self.nodes:
                self._ends[node.node_id] = node.board.now_us
                node.scene.end(node.board.now_us)
            self._pace.hurry.set()
            counts = count(self.database, self.nodes, self._ends)
            limit = time.monotonic() + DRAIN_S
            while counts.stored < counts.sensed and time.monotonic() < limit:
                await asyncio.sleep(0.2)
                counts = count(self.database, self.nodes, self._ends)
                self._show(live)
            live.update(self._table())
        if not self.console.is_terminal:
            self.console.print()  # a Live that is no terminal's leaves its last line open
        for line in highlights.lines(self.database, self.nodes):
            self.console.print(line, soft_wrap=True)
        return counts

    def _show(self, live: Live) -> None:
        if self.console.is_terminal:
            live.update(self._table(), refresh=True)
        elif time.monotonic() - self._told > TELL_S:
            self._told = time.monotonic()
            rows = [self._row(node) for node in self.nodes]
            told = (f"{row[1]} {row[2]} {row[5]}/{row[6]}/{row[7]}" for row in rows)
            self.console.print("sensed/stored/receipted:", ", ".join(told), soft_wrap=True)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    @property
    def database(self) -> Path:
        """The file that the fleet writes."""
        return self.fleet.data / "kapok.db"

    def _table(self) -> Table:
        table = Table(
            title="Kapok demo: an hour passes in a second; Ctrl-C ends it",
            box=SIMPLE_HEAD,
            padding=0,  # 80 columns are few
        )
        for heading in ("node", "role", "door", "its clock", "reported"):
            table.add_column(heading, no_wrap=True)
        for heading in ("sensed", "stored", "receipted", "depth"):
            table.add_column(heading, justify="right", no_wrap=True)
        for node in self.nodes:
            table.add_row(*self._row(node))
        return table

    def _row(self, node: VirtualNode) -> list[str]:
        until = self._ends.get(node.node_id, node.board.now_us)
        rows, newest = stored_of(self.database, node, node.scene.bound(until))
        journal = node.journal()
        scene = node.scene
        receipted = max(0, journal.next_sequence - 1 - journal.depth)
        receipted = receipted * scene.readings // scene.records
        clock = time.gmtime(node.board.now_us // scenes.SECOND)
        age = "" if newest is None else f"{max(0, time.time() - newest / 1e6):.0f} s ago"
        return [
            node.node_id,
            node.scene.role,
            self._doors[node.node_id],
            time.strftime("%m-%d %H:%M", clock),
            age,
            str(node.scene.sensed(until)),
            str(rows),
            str(min(receipted, rows)),
            str(journal.depth),
        ]
