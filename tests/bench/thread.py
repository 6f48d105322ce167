"""The whole thread under fire: `python -m tests.bench.thread`, or `make bench-thread`.

Many virtual nodes report over modem twins, TLS and Mosquitto while the fleet and the broker are
killed with `kill -9`, nodes lose power (half of the times inside a flash write), and one is wiped.
Then the same with a firmware that takes the broker's PUBACK for a receipt.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from fleet.paths import firmware_dir
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.pace import Clocked
from hil.virtual.scenes import HOUR
from tests.bench.mosquitto_process import MosquittoProcess
from tests.bench.town import LAMP_READINGS, Tally, grid_scene, tally

AREA = ("440106", "Tianhe")
HASTE = 5.0  # a receipt that never comes is waited for 40 s: 8 real ones
DEAF_HOURS = 12  # how far nodes may go while nobody reads, virtual
DEAF_BYTES = 12_000  # what they send meanwhile: about 3,500 a contact with its report
AFTER_HOURS = 72  # virtual, after the last slot: reports are due twice a day, retries every 6 h
QUIET_S = 12.0
CUT_MODES = ("clean", "half-page", "half-erase")


@dataclass(frozen=True)
class Plan:
    """How big, and how much goes wrong."""

    nodes: int
    readings: int
    fleet_kills: int
    broker_kills: int
    power_cuts: int
    seed: int

    @property
    def slots(self) -> int:
        """Hours that each node samples: a third of the nodes are lampposts."""
        each_hour = sum(LAMP_READINGS if is_lamppost(i) else 1 for i in range(self.nodes))
        return -(-self.readings // each_hour)


def is_lamppost(i: int) -> bool:
    """Every third node."""
    return i % 3 == 2


@dataclass
class Outcome:
    """What one run showed."""

    tally: Tally
    seconds: float
    faults: dict[str, int] = field(default_factory=dict)
    wiped: str = ""
    held: int = 0  # readings without a receipt in the wiped node's flash

    def lines(self) -> list[str]:
        """What a person reads."""
        done = ", ".join(f"{name} {n}" for name, n in self.faults.items())
        lines = [f"faults: {done}; {self.seconds:.0f} s", self.tally.line(self.wiped)]
        if self.wiped:
            missing = self.tally.by_node.get(self.wiped, 0)
            lines.append(f"wiped node: its flash held {self.held} readings, missing {missing}")
        return lines


def without_receipts(folder: Path) -> Path:
    """Firmware sources that forget a report as soon as the broker has acknowledged it."""
    sources = folder / "sabotaged"
    shutil.copytree(firmware_dir(), sources, ignore=shutil.ignore_patterns("__pycache__"))
    door = sources / "node" / "link" / "door.py"
    shutil.copy(Path(__file__).with_name("puback_door.py"), door.with_name("puback_door.py"))
    text = door.read_text()
    changed = text.replace("node.link.mqtt_door import", "node.link.puback_door import")
    if changed == text:
        raise RuntimeError("the sabotage found nothing to change in door.py")
    door.write_text(changed)
    return sources


class Horizon:
    """A pace: no virtual clock jumps beyond it, so that all nodes live through every fault."""

    def __init__(self) -> None:
        self._limit_us = 0
        self._moved = asyncio.Event()
        self.waiting = 0  # boards that stand at it
        self._arrived = asyncio.Event()

    def move(self, limit_us: int) -> None:
        """Clocks may go up to `limit_us`."""
        self._limit_us = max(self._limit_us, limit_us)
        self._moved.set()
        self._moved = asyncio.Event()

    async def before_jump(self, board: Clocked, until_us: int) -> None:
        """Wait until the horizon lies behind `until_us`."""
        while until_us > self._limit_us:
            self.waiting += 1
            self._arrived.set()
            try:
                await self._moved.wait()
            finally:
                self.waiting -= 1

    async def reached(self, boards: int) -> None:
        """Wait until so many boards stand at the horizon."""
        while self.waiting < boards:
            self._arrived.clear()
            await self._arrived.wait()


class Thread:
    """One run in `folder`. `sources`: firmware to run, None for the project's own."""

    def __init__(self, folder: Path, plan: Plan, sources: Path | None) -> None:
        self.folder = folder
        self.plan = plan
        self.sources = sources
        self.rng = random.Random(plan.seed)
        self.nodes: list[VirtualNode] = []
        self.faults = {"fleet kills": 0, "broker kills": 0, "power cuts": 0, "in flash writes": 0}
        self.excused: dict[str, int] = {}
        self.held = 0
        self.horizon = Horizon()
        self._cuts: list[asyncio.Task[None]] = []
        self._armed: set[str] = set()  # nodes that are to lose power, or have just lost it

    async def run(self) -> Outcome:
        """All of it; BoardError, FleetError or TimeoutError when the rig itself fails."""
        began = time.monotonic()
        self.folder.mkdir(parents=True)
        self.fleet = FleetProcess(self.folder / "fleet", "--port", "0", "--coap-port", "0")
        await self.fleet.command("init")
        await self.fleet.command("area", "add", *AREA)
        self.broker = MosquittoProcess(self.folder / "broker", self.fleet.data / "pki")
        self.fleet.settings += ("--broker", f"localhost:{self.broker.port}")
        await self.broker.start()
        await self._add_nodes()
        await self.fleet.start()
        try:
            for node in self.nodes:
                node.board.start()
            await self._timeline()
            await self._drain()
        finally:
            for node in self.nodes:
                await node.board.stop()
            await self.fleet.stop()
            await self.broker.kill()
        wiped = next(iter(self.excused), "")
        return Outcome(self._tally(), time.monotonic() - began, self.faults, wiped, self.held)

    async def _add_nodes(self) -> None:
        for i in range(self.plan.nodes):
            scene = grid_scene("lamppost" if is_lamppost(i) else "drainage", self.plan.slots)
            folder = self.folder / f"node{i:02d}"
            mac = mac_of(f"thread {i}")
            node = VirtualNode(
                folder,
                mac,
                scene,
                seed=self.plan.seed + i,
                pace=self.horizon,
                haste=HASTE,
                sources=self.sources,
            )
            credentials = await enrol(self.fleet, node.node_id, scene.role, AREA[0])
            node.provision(credentials, "localhost", self.broker.port)
            self.nodes.append(node)

    def _tally(self) -> Tally:
        return tally(self.fleet.data / "kapok.db", self.nodes, self.plan.slots, self.excused)

    # What goes wrong, spread evenly over the nodes' time.

    async def _timeline(self) -> None:
        """Let virtual time go on by one step before each fault, and to the end after the last."""
        faults = self._faults()
        for i, fault in enumerate(faults):
            await self._step((i + 1) / (len(faults) + 1))
            await fault()
        await asyncio.gather(*self._cuts)
        start = self.nodes[0].scene.start_us
        self.horizon.move(start + (self.plan.slots + AFTER_HOURS) * HOUR)

    def _faults(self) -> list[Callable[[], Awaitable[None]]]:
        plan = self.plan
        # Half of the broker's kills come while the fleet is down: then a PUBACK is worth least.
        doubled = min(plan.broker_kills // 2, plan.fleet_kills)
        faults: list[Callable[[], Awaitable[None]]] = [self._both_die] * doubled
        faults += [self._fleet_dies] * (plan.fleet_kills - doubled)
        faults += [self._broker_dies] * (plan.broker_kills - doubled)
        faults += [self._node_dies] * (plan.power_cuts - plan.power_cuts // 2)
        faults += [self._node_dies_writing] * (plan.power_cuts // 2)
        self.rng.shuffle(faults)
        faults.insert(len(faults) // 2, self._wipe)
        return faults

    async def _step(self, share: float) -> None:
        """Go on to `share` of all hours; return when half of the nodes are there."""
        start = self.nodes[0].scene.start_us
        limit = start + int(share * self.plan.slots) * HOUR
        self.horizon.move(limit)
        await self.horizon.reached(len(self.nodes) // 2)

    async def _fleet_dies(self) -> None:
        self.faults["fleet kills"] += 1
        await self.fleet.kill()
        await self.fleet.start()

    async def _broker_dies(self) -> None:
        self.faults["broker kills"] += 1
        await self.broker.kill()
        await self.broker.start()

    async def _both_die(self) -> None:
        """The fleet dies; nodes publish to a broker whose one reader is dead; then it dies too."""
        self.faults["fleet kills"] += 1
        await self.fleet.kill()
        before = sum(n.twin.up_bytes for n in self.nodes)
        self.horizon.move(max(n.board.now_us for n in self.nodes) + DEAF_HOURS * HOUR)
        arrived = asyncio.create_task(self.horizon.reached(len(self.nodes)))
        while sum(n.twin.up_bytes for n in self.nodes) < before + DEAF_BYTES:
            await asyncio.wait({arrived}, timeout=0.02)  # nothing virtual tells of real sockets
            if arrived.done():
                break
        arrived.cancel()
        await self._broker_dies()
        await self.fleet.start()

    def _victim(self) -> VirtualNode:
        """A node that no cut awaits; the first one is kept for the wipe."""
        node = self.rng.choice([n for n in self.nodes[1:] if n.node_id not in self._armed])
        self._armed.add(node.node_id)
        return node

    async def _node_dies(self) -> None:
        node = self._victim()
        await node.board.power_cut()
        self._back(node)

    async def _node_dies_writing(self) -> None:
        node = self._victim()
        node.board.cut_at_flash_operation(self.rng.randint(0, 12), self.rng.choice(CUT_MODES))

        async def die() -> None:
            board = node.board
            await board.run_until(lambda: board.state == "off", 600)
            self.faults["in flash writes"] += 1
            self._back(node)

        # In the background: virtual time may have to go on before the node writes.
        self._cuts.append(asyncio.create_task(die()))

    def _back(self, node: VirtualNode) -> None:
        self.faults["power cuts"] += 1
        self._armed.discard(node.node_id)
        node.board.start()

    async def _wipe(self) -> None:
        node = self.nodes[0]
        await node.board.power_cut()
        self.held = node.journal().depth * node.scene.readings
        self.excused[node.node_id] = node.board.now_us // HOUR
        node.wipe()
        node.board.start()

    async def _drain(self) -> None:
        """Until all has arrived, or nothing came for QUIET_S though every node had its days."""
        seen, since = -1, time.monotonic()
        while True:
            now = self._tally()
            excused = sum(n for k, n in now.by_node.items() if k in self.excused)
            if now.lost == excused <= self.held:  # more: the wiped node has still to report
                return
            if now.stored != seen or self.horizon.waiting < len(self.nodes):
                seen, since = now.stored, time.monotonic()
            elif time.monotonic() - since > QUIET_S:
                return
            await asyncio.sleep(1)


async def both(plan: Plan, keep: Path | None) -> tuple[Outcome, Outcome]:
    """The run with receipts, and the same without."""
    with tempfile.TemporaryDirectory(prefix="kapok-thread-") as temporary:
        folder = keep or Path(temporary)
        print(f"{plan.nodes} nodes, {plan.slots} hours each, seed {plan.seed}", flush=True)
        honest = await Thread(folder / "receipts", plan, None).run()
        print("with receipts:", *honest.lines(), sep="\n  ", flush=True)
        sabotaged = await Thread(folder / "puback", plan, without_receipts(folder)).run()
        print("receipts off, PUBACK trusted:", *sabotaged.lines(), sep="\n  ", flush=True)
    return honest, sabotaged


def verdict(honest: Outcome, sabotaged: Outcome) -> list[str]:
    """What speaks against the claim; empty when it holds."""
    wrong = []
    excused = honest.tally.by_node.get(honest.wiped, 0)
    if honest.tally.lost != excused or excused > honest.held:
        wrong.append("readings were lost with receipts on")
    if honest.tally.duplicated:
        wrong.append("readings were duplicated")
    if honest.tally.wrong:
        wrong.append("per-asset totals differ")
    if sabotaged.tally.lost <= sabotaged.tally.by_node.get(sabotaged.wiped, 0):
        wrong.append("the run without receipts lost nothing: the bench proves nothing")
    return wrong


def main() -> int:
    """Exit code 0 when the run with receipts lost nothing and the other did."""
    parser = argparse.ArgumentParser(prog="make bench-thread")
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--readings", type=int, default=20_000)
    parser.add_argument("--fleet-kills", type=int, default=20)
    parser.add_argument("--broker-kills", type=int, default=10)
    parser.add_argument("--power-cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder that keeps databases, flash and logs")
    a = parser.parse_args()
    plan = Plan(a.nodes, a.readings, a.fleet_kills, a.broker_kills, a.power_cuts, a.seed)
    try:
        grid_scene("drainage", plan.slots)
    except ValueError as e:
        parser.error(str(e))
    wrong = verdict(*asyncio.run(both(plan, a.keep)))
    print("\n".join(wrong) if wrong else "holds: lost 0 duplicated 0 with receipts, loss without")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
