"""What a node type's wakes and contacts take: `make measure` writes `hw/measured/<type>.toml`,
from which `kapok battery` computes a life.

The real firmware on a virtual board against a real `kapok serve`, in the steady state of its
seventh year (aged.py): hourly samples, a report a day, the energy ledger every second day, so
that its bytes are measured and its phases can be read on the days between.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import mean
from typing import Any

from fleet.battery.measured import Contact, Measured, Sense, write
from fleet.flashing.hardware import load_board, load_node_type
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.modem.nbiot import NbIotLink
from hil.virtual.node import VirtualNode, mac_of
from tests.bench import aged
from tests.bench.vm_turns import calibrate
from tests.bench.wake_meter import Wake, WakeMeter

AREA = ("440106", "Tianhe")
START_US = 1_795_392_000 * scenes.SECOND  # 2026-11-23 00:00:00 UTC
HOST = "127.0.0.1"
COVERAGE = (("ecl0", 144.0), ("ecl1", 154.0), ("ecl2", 164.0))
DOORS = ("coap", "mqtt")
NODE_TYPES = ("gas-meter", "drainage")
CONTACTS = 6  # of each coverage: random access and block errors are by chance
WAIT_S = 300.0
DAY = 86400
PLAN = {
    "report_s": DAY, "report_records": 1000, "ledger_s": 2 * DAY, "tau_s": 2 * DAY,
    "active_s": 0, "awake_s": 600, "attach_s": 300,
}  # fmt: skip


class Bench:
    """A fleet in `folder`, and nodes that stand still unless they are measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "0")
        self._fleet = FleetProcess(folder / "fleet", *free)
        self._ports: dict[str, int] = {}
        self.turn_us = 0.0
        self._start_us = 0

    async def __aenter__(self) -> "Bench":
        self.turn_us, self._start_us = await calibrate(self._folder)
        await self._fleet.command("init")
        await self._fleet.command("area", "add", *AREA)
        addresses = await self._fleet.start()
        self._ports = {"coap": addresses["coap_port"], "mqtt": addresses["broker_port"]}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._fleet.stop()

    @contextlib.asynccontextmanager
    async def node(self, kind: str, door: str) -> AsyncIterator[tuple[VirtualNode, WakeMeter]]:
        """A node whose first contact is over."""
        known = load_node_type(kind)
        scene = scenes.Scene(known.role, known.board, dict(known.config), START_US)
        meter = WakeMeter()
        name = f"{kind} {door}"
        node = VirtualNode(self._folder / name, mac_of(name), scene, pace=meter)
        credentials = await enrol(self._fleet, node.node_id, known.role, AREA[0])
        node.provision(credentials, HOST, self._ports[door], door=door, **PLAN)
        aged.before_start(node)
        meter.node = node
        node.board.start()
        try:
            await meter.wakes(1, WAIT_S)
            aged.while_asleep(node.board)
            await meter.wakes(1, WAIT_S)
            yield node, meter
        except TimeoutError:
            raise RuntimeError(f"{name}: no contact\n{node.board.console_tail}") from None
        finally:
            await node.board.stop()

    def _turns(self, wakes: list[Wake]) -> int:
        return round(mean(max(0, w.cpu_us - self._start_us) for w in wakes) / self.turn_us)

    def _contact(self, contacts: list[Wake]) -> Contact:
        plain = [wake for wake in contacts if wake.ms is not None]
        columns = zip(*(w.ms or () for w in plain), strict=True)
        boot, sense, attach, send, listen = (round(mean(column)) for column in columns)
        # The dearer kind: where a day does not fit two reports the ledger goes with the next.
        told = [w for w in contacts if w.ms is None] or contacts
        told = max((told, plain), key=lambda wakes: mean(w.up for w in wakes))
        return Contact(
            len(contacts), boot, sense, attach, send, listen, self._turns(plain),
            round(mean(w.modem_mj for w in told)),
            round(1000 * mean(w.modem_s for w in told)), round(mean(w.up for w in told)),
            round(mean(w.down for w in told)), round(mean(w.up for w in plain)),
        )  # fmt: skip

    async def measure(
        self, kind: str, doors: tuple[str, ...], levels: tuple[str, ...], contacts: int
    ) -> Measured:
        """All of one node type."""
        quiet: list[Wake] = []
        found: dict[str, dict[str, Contact]] = {}
        for door in doors:
            async with self.node(kind, door) as (node, meter):
                found[door] = {}
                for level, loss_db in COVERAGE:
                    if level in levels:
                        node.twin.link = NbIotLink(loss_db)
                        wakes = await meter.wakes(contacts, WAIT_S)
                        quiet += [wake for wake in wakes if not wake.contacts and wake.ms]
                        found[door][level] = self._contact([w for w in wakes if w.contacts])
        sense = [round(mean(column)) for column in zip(*(w.ms or () for w in quiet), strict=True)]
        board = load_board(load_node_type(kind).board)
        return Measured(
            kind, board.name, str(board.modem), self.turn_us,
            Sense(len(quiet), sense[0], sense[1], self._turns(quiet)), found,
        )  # fmt: skip


async def measured(
    kind: str, doors: tuple[str, ...], levels: tuple[str, ...], contacts: int, folder: Path
) -> Measured:
    """One node type, on a fleet of its own in `folder`."""
    async with Bench(folder) as bench:
        return await bench.measure(kind, doors, levels, contacts)


def main() -> int:
    """Measure and write; exit code 0."""
    parser = argparse.ArgumentParser(prog="make measure")
    parser.add_argument("kinds", nargs="*", default=NODE_TYPES, help="node types of hw/nodes")
    levels: Any = tuple(level for level, _ in COVERAGE)
    for kind in parser.parse_args().kinds:
        with tempfile.TemporaryDirectory(prefix="kapok-measure-") as folder:
            got = asyncio.run(measured(kind, DOORS, levels, CONTACTS, Path(folder)))
        print(write(got))
    return 0


if __name__ == "__main__":
    sys.exit(main())
