"""The smallest heap with which each role completes a wake: `make bench-heap`.

The VM's pointers are of 64 bits: what the firmware takes here is up to twice what it takes on a
chip. TLS lives outside MicroPython's heap, on the PC as on the chip: its allowance is stated
beside it. The shims that stand for the chip's C modules are in the heap only here.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from fleet.flashing import partitions
from fleet.paths import hw_dir
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import bus_scene, firmware, scenes
from hil.virtual.board import FLASH_SIZE, VirtualBoard
from hil.virtual.node import VirtualNode, mac_of
from tests.bench.town import grid_scene, slots_stored

AREA = ("440106", "Tianhe")
LIMIT_KB = 96
STEP_KB = 2
TLS_KB = 40  # mbedTLS on the ESP32: 16 + 4 KB of buffers, about 15 KB at the handshake's peak
CHIP_KB = 110  # what an ESP32 without PSRAM has for both
WAKE_S = 30.0  # real seconds that one wake may take
# What each role's firmware takes from the modules that shims stand for.
CLASSES = {
    "gas-meter": ("Pin", "RTC", "UART", "WDT", "NVS", "mem32"),
    "drainage": ("Pin", "ADC", "RTC", "UART", "WDT", "NVS"),
    "lamppost": ("Pin", "ADC", "PWM", "RTC", "UART", "WDT", "NVS"),
    "gateway": ("Pin", "RTC", "UART", "WDT", "NVS"),
}
ROLES = tuple(CLASSES)
# The door of each: TLS has its own memory beside the heap, OSCORE has none.
DOORS = {"gas-meter": "coap", "drainage": "mqtt", "lamppost": "mqtt", "gateway": "mqtt"}
_PROBE = """\
import gc, esp32, machine
for name in %r:
    getattr(esp32 if name == "NVS" else machine, name)
gc.collect()
print("shims", gc.mem_alloc())
machine.deepsleep()
"""


def scene_of(role: str) -> scenes.Scene:
    """A scene that reports after a few hours, so that a wake carries a full report."""
    if role == "gas-meter":
        return scenes.gas_meter(1_780_300_800 * scenes.SECOND, 3)
    if role == "gateway":
        return bus_scene.gateway(1_780_300_800 * scenes.SECOND, 3)
    return grid_scene(role, 100)


class Bench:
    """A fleet, and a new node for each run: a sender sequence never begins twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "0")
        self.fleet = FleetProcess(folder / "fleet", *free)
        self.ports: dict[str, int] = {}
        self._runs = 0

    async def start(self) -> None:
        """Serve."""
        await self.fleet.command("init")
        await self.fleet.command("area", "add", *AREA)
        addresses = await self.fleet.start()
        self.ports = {"mqtt": addresses["broker_port"], "coap": addresses["coap_port"]}

    async def works(self, role: str, kilobytes: int) -> bool:
        """Whether two reports are stored and receipted with a heap of so many KB."""
        self._runs += 1
        short = asyncio.Event()  # boot.py survives it, so it does not count as a crash
        node = VirtualNode(
            self.folder / f"run{self._runs}",
            mac_of(f"heap {self._runs}"),
            scene_of(role),
            heapsize=f"{kilobytes}k",
            console=lambda line: short.set() if "MemoryError" in line else None,
        )
        door = DOORS[role]
        credentials = await enrol(self.fleet, node.node_id, role, AREA[0])
        node.provision(credentials, "localhost", self.ports[door], door=door)
        database = self.fleet.data / "kapok.db"
        before = self._stored(database, node)
        node.board.start()
        try:
            await node.board.run_until(
                lambda: (
                    node.board.life.crashes > 0
                    or short.is_set()
                    or self._stored(database, node) >= before + 12
                ),
                WAKE_S,
            )
            return node.board.life.crashes == 0 and not short.is_set()
        except TimeoutError:
            return False
        finally:
            await node.board.stop()

    def _stored(self, database: Path, node: VirtualNode) -> int:
        return sum(sum(c.values()) for c in slots_stored(database, node).values())

    async def shims(self, role: str) -> int:
        """KB of the heap that the shims and asyncio take before any firmware, rounded up."""
        folder = self.folder / f"shims {role}"
        folder.mkdir()
        told: list[int] = []

        def hear(line: str) -> None:
            if line.startswith("shims "):
                told.append(int(line.split()[1]))

        board = VirtualBoard(folder, mac_of(role), heapsize="160k", console=hear)
        boot = {"/boot.py": (_PROBE % (CLASSES[role],)).encode()}
        table = partitions.load(hw_dir() / "partitions" / "4MiB.csv", FLASH_SIZE)
        firmware.make_flash(board.flash_path, table, FLASH_SIZE, boot)
        try:
            await board.run_until(lambda: bool(told), WAKE_S)
        finally:
            await board.stop()
        return -(-told[0] // 1024)

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


async def run(roles: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """By role: the smallest heap, and the shims' part of it, in KB."""
    with tempfile.TemporaryDirectory(prefix="kapok-heap-") as folder:
        bench = Bench(Path(folder))
        await bench.start()
        try:
            return {role: (await bench.smallest(role), await bench.shims(role)) for role in roles}
        finally:
            await bench.fleet.stop()


def main() -> int:
    """Exit code 0 when every role fits."""
    parser = argparse.ArgumentParser(prog="make bench-heap")
    parser.add_argument("roles", nargs="*", default=list(ROLES))
    found = asyncio.run(run(tuple(parser.parse_args().roles)))
    print(
        f"{'role':<12}{'door':>6}{'heap KB':>9}{'shims':>8}{'firmware':>10}"
        f"{'TLS':>6}{'ESP32 has':>11}"
    )
    for role, (total, shims) in found.items():
        door = DOORS[role]
        tls = TLS_KB if door == "mqtt" else 0
        print(f"{role:<12}{door:>6}{total:>9}{shims:>8}{total - shims:>10}{tls:>6}{CHIP_KB:>11}")
    print(
        f"heap: the smallest -X heapsize of the 64-bit VM that works, limit {LIMIT_KB}; shims: the"
    )
    print("part of it that stands for a chip's C modules, and asyncio's core; firmware: the rest;")
    print("TLS: its allowance, outside that heap; ESP32: without PSRAM, for firmware and TLS")
    return 0 if all(total <= LIMIT_KB for total, _ in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
