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
from dataclasses import dataclass, field
from pathlib import Path

from fleet.paths import firmware_dir
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import HOUR
from tests.bench.mosquitto_process import MosquittoProcess
from tests.bench.town import Tally, grid_scene, tally

AREA = ("440106", "Tianhe")
DRAIN_S = 180.0  # real seconds for the last reports after the last slot
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
        """Hours that each node samples: a third of the nodes are lampposts with 3 readings."""
        each_hour = sum(3 if is_lamppost(i) else 1 for i in range(self.nodes))
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
        lines = [f"faults: {done}; {self.seconds:.0f} s", self.tally.line()]
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
    session = sources / "node" / "link" / "session.py"
    text = session.read_text()
    changed = text.replace(
        "from node.link.door import MqttDoor", "from node.link.puback_door import MqttDoor"
    )
    if changed == text:
        raise RuntimeError("the sabotage found nothing to change in session.py")
    session.write_text(changed)
    return sources


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

    async def run(self) -> Outcome:
        """All of it; BoardError, FleetError or TimeoutError when the rig itself fails."""
        began = time.monotonic()
        self.folder.mkdir(parents=True)
        self.fleet = FleetProcess(self.folder / "fleet", "--port", "0")
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
            await asyncio.gather(self._servers_die(), self._nodes_die(), self._wipe())
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
            node = VirtualNode(folder, mac, scene, seed=self.plan.seed + i, sources=self.sources)
            credentials = await enrol(self.fleet, node.node_id, scene.role, AREA[0])
            node.provision(credentials, "localhost", self.broker.port)
            self.nodes.append(node)

    def _tally(self) -> Tally:
        return tally(self.fleet.data / "kapok.db", self.nodes, self.plan.slots, self.excused)

    def _slots_passed(self) -> int:
        passed = [(n.board.now_us - n.scene.start_us) // HOUR for n in self.nodes]
        return sum(min(p, self.plan.slots) for p in passed)

    async def _progress(self, share: float) -> None:
        """Wait until so much of all slots has passed."""
        wanted = share * self.plan.slots * len(self.nodes)
        while self._slots_passed() < wanted:
            await asyncio.sleep(0.05)

    async def _servers_die(self) -> None:
        kinds = ["fleet"] * self.plan.fleet_kills + ["broker"] * self.plan.broker_kills
        self.rng.shuffle(kinds)
        # Half of the broker's kills come while the fleet is down: then a PUBACK is worth least.
        doubled = self.plan.broker_kills // 2
        for i, kind in enumerate(kinds):
            await self._progress((i + 1) / (len(kinds) + 1))
            if kind == "fleet":
                self.faults["fleet kills"] += 1
                await self.fleet.kill()
                if doubled and "broker" in kinds[i + 1 :]:
                    doubled -= 1
                    kinds[i + 1 + kinds[i + 1 :].index("broker")] = "none"
                    # Some nodes publish to a broker whose one reader is dead.
                    await self._progress((i + 1.4) / (len(kinds) + 1))
                    await self._kill_broker()
                await self.fleet.start()
            elif kind == "broker":
                await self._kill_broker()

    async def _kill_broker(self) -> None:
        self.faults["broker kills"] += 1
        await self.broker.kill()
        await self.broker.start()

    async def _nodes_die(self) -> None:
        for i in range(self.plan.power_cuts):
            await self._progress((i + 1) / (self.plan.power_cuts + 1))
            node = self.rng.choice(self.nodes)
            if i % 2:
                node.board.cut_at_flash_operation(
                    self.rng.randint(0, 12), self.rng.choice(CUT_MODES)
                )
                await node.board.run_until(lambda board=node.board: board.state == "off", 300)  # type: ignore[misc]
                self.faults["in flash writes"] += 1
            else:
                await node.board.power_cut()
            self.faults["power cuts"] += 1
            node.board.start()

    async def _wipe(self) -> None:
        await self._progress(0.5)
        node = self.nodes[0]
        await node.board.run_until(lambda: node.board.state == "asleep", 300)
        await node.board.power_cut()
        self.held = node.journal().depth * node.scene.readings
        self.excused[node.node_id] = node.board.now_us // HOUR
        node.wipe()
        node.board.start()

    async def _drain(self) -> None:
        await self._progress(1.0)
        limit = time.monotonic() + DRAIN_S
        before = -1
        while time.monotonic() < limit:
            now = self._tally()
            if now.lost == sum(n for k, n in now.by_node.items() if k in self.excused):
                return
            if now.stored != before:
                before, limit = now.stored, max(limit, time.monotonic() + DRAIN_S / 3)
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
    wrong = verdict(*asyncio.run(both(plan, a.keep)))
    print("\n".join(wrong) if wrong else "holds: lost 0 duplicated 0 with receipts, loss without")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
