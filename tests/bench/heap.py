"""The smallest heap with which each role completes a wake: `make bench-heap`.

The VM's objects are of 64 bits, about twice the chip's. TLS lives outside MicroPython's heap, on
the PC as on the chip: its allowance is stated beside it.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from fleet.wire import nodeid
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import scenes
from hil.virtual.node import Credentials, VirtualNode, mac_of
from tests.bench.town import grid_scene, slots_stored

AREA = ("440106", "Tianhe")
LIMIT_KB = 80
STEP_KB = 2
TLS_KB = 40  # mbedTLS on the ESP32: 16 + 4 KB of buffers, about 15 KB at the handshake's peak
CHIP_KB = 110  # what an ESP32 without PSRAM has for both
WAKE_S = 30.0  # real seconds that one wake may take
ROLES = ("gas-meter", "drainage", "lamppost")


def scene_of(role: str) -> scenes.Scene:
    """A scene that reports after a few hours, so that a wake carries a full report."""
    if role == "gas-meter":
        return scenes.gas_meter(1_780_300_800 * scenes.SECOND, 3)
    return grid_scene(role, 100)


class Bench:
    """A fleet, and the credentials of one node of each role."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = FleetProcess(folder / "fleet", "--port", "0", "--broker-port", "0")
        self.credentials: dict[str, Credentials] = {}
        self.port = 0
        self._runs = 0

    async def start(self) -> None:
        """Serve, and enrol."""
        await self.fleet.command("init")
        await self.fleet.command("area", "add", *AREA)
        self.port = (await self.fleet.start())["broker_port"]
        for role in ROLES:
            node_id = nodeid.from_mac(mac_of(f"heap {role}"))
            self.credentials[role] = await enrol(self.fleet, node_id, role, AREA[0])

    async def works(self, role: str, kilobytes: int) -> bool:
        """Whether two reports are stored and receipted with a heap of so many KB."""
        self._runs += 1
        node = VirtualNode(
            self.folder / f"run{self._runs}",
            mac_of(f"heap {role}"),
            scene_of(role),
            heapsize=f"{kilobytes}k",
        )
        node.provision(self.credentials[role], "localhost", self.port)
        database = self.fleet.data / "kapok.db"
        before = self._stored(database, node)
        node.board.start()
        try:
            await node.board.run_until(
                lambda: node.board.life.crashes > 0 or self._stored(database, node) >= before + 12,
                WAKE_S,
            )
            return node.board.life.crashes == 0
        except TimeoutError:
            return False
        finally:
            await node.board.stop()

    def _stored(self, database: Path, node: VirtualNode) -> int:
        return sum(sum(c.values()) for c in slots_stored(database, node).values())

    async def smallest(self, role: str) -> int:
        """By bisection, in KB."""
        fails, works = 16, 256
        if not await self.works(role, works):
            raise RuntimeError(f"{role} does not complete a wake with {works} KB")
        while works - fails > STEP_KB:
            middle = (works + fails) // 2
            if await self.works(role, middle):
                works = middle
            else:
                fails = middle
        return works


async def run(roles: tuple[str, ...]) -> dict[str, int]:
    """The smallest heap in KB by role."""
    with tempfile.TemporaryDirectory(prefix="kapok-heap-") as folder:
        bench = Bench(Path(folder))
        await bench.start()
        try:
            return {role: await bench.smallest(role) for role in roles}
        finally:
            await bench.fleet.stop()


def main() -> int:
    """Exit code 0 when every role fits."""
    parser = argparse.ArgumentParser(prog="make bench-heap")
    parser.add_argument("roles", nargs="*", default=list(ROLES))
    found = asyncio.run(run(tuple(parser.parse_args().roles)))
    print(f"{'role':<12}{'heap KB':>9}{'TLS KB':>9}{'ESP32 without PSRAM has, for both':>36}")
    for role, kilobytes in found.items():
        print(f"{role:<12}{kilobytes:>9}{TLS_KB:>9}{CHIP_KB:>33} KB")
    print(f"heap: of the 64-bit VM, -X heapsize, smallest that works; limit {LIMIT_KB} KB")
    return 0 if all(k <= LIMIT_KB for k in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
