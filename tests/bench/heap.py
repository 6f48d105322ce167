"""The smallest heap with which each role lives through a day: `make bench-heap`.

A day of virtual time from a cold start on, in which the fleet changes the node's configuration and
is told that it is in force, and something happens that is an alarm and is stored.

The VM's pointers are of 64 bits: what the firmware takes here is up to twice what it takes on a
chip. TLS lives outside MicroPython's heap, on the PC as on the chip: its allowance is stated
beside it. The shims that stand for the chip's C modules are in the heap only here.
"""

import argparse
import asyncio
import contextlib
import heapq
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from fleet.flashing import partitions
from fleet.paths import hw_dir
from fleet.wire import quantity
from hil.fleet_process import FleetProcess
from hil.provisioning import enrol
from hil.virtual import bus_scene, firmware, lamp_scene, scenes
from hil.virtual.board import FLASH_SIZE, VirtualBoard
from hil.virtual.node import VirtualNode, mac_of
from hil.virtual.scenes import HOUR, SECOND
from hil.virtual.stimulus import Do
from tests.bench import heap_floor

AREA = ("440106", "Tianhe")
LIMIT_KB = 96
STEP_KB = 2
TLS_KB = 40  # mbedTLS on the ESP32: 16 + 4 KB of buffers, about 15 KB at the handshake's peak
CHIP_KB = 110  # what an ESP32 without PSRAM has for both
START_US = 1_780_300_800 * SECOND  # 2026-06-01 08:00:00 UTC
DAY_US = 24 * HOUR
DAY_S = 120.0  # real seconds that one day may take
CHANGE = "report_s=14400"  # what the fleet wants of every node, beside what its scene has
LEAK_MA = 600  # from a lamppost into the ground
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


_READINGS = "SELECT count(*) > 12 FROM readings WHERE terminal_id = ?"
_ALARMS = "SELECT count(*) FROM readings WHERE terminal_id = ? AND quantity > ? AND value = 1"
_APPLIED = "SELECT count(*) FROM downlink_progress WHERE node_id = ? AND applied = last_number"


def scene_of(role: str) -> scenes.Scene:
    """A node of the role with all its sensors, to which something happens within a day."""
    if role == "gas-meter":
        return scenes.gas_leak(START_US)  # it closes its valve after four hours
    if role == "gateway":
        return bus_scene.gateway(START_US, 3)  # one of its devices is dead
    if role == "drainage":
        return scenes.manhole(START_US, 3)  # a storm
    post = lamp_scene.lamppost(START_US, 3)
    touched = [(START_US + 6 * HOUR, Do(lambda: post.leak(LEAK_MA)))]
    post._schedule = heapq.merge(post._schedule, touched, key=lambda item: item[0])
    return post


class Bench:
    """A fleet, and a new node for each run: a sender sequence never begins twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        free = ("--port", "0", "--broker-port", "0", "--coap-port", "0")
        self.fleet = FleetProcess(folder / "fleet", *free)
        self.ports: dict[str, int] = {}
        self.runs = 0

    async def start(self) -> None:
        """Serve."""
        await self.fleet.command("init")
        await self.fleet.command("area", "add", *AREA)
        addresses = await self.fleet.start()
        self.ports = {"mqtt": addresses["broker_port"], "coap": addresses["coap_port"]}

    async def works(self, role: str, kilobytes: int) -> bool:
        """Whether a node lives through its day with a heap of so many KB."""
        self.runs += 1
        short = asyncio.Event()  # boot.py survives it, so it does not count as a crash
        node = VirtualNode(
            self.folder / f"run{self.runs}",
            mac_of(f"heap {self.runs}"),
            scene_of(role),
            heapsize=f"{kilobytes}k",
            console=lambda line: short.set() if "MemoryError" in line else None,
        )
        door = DOORS[role]
        credentials = await enrol(self.fleet, node.node_id, role, AREA[0])
        node.provision(credentials, "localhost", self.ports[door], door=door)
        await self.fleet.command("node", "configure", node.node_id, CHANGE)
        life = node.board.life
        end_us = node.board.now_us + DAY_US
        node.scene.end(end_us)  # a heap that is too small may lead anywhere, and into any year
        node.board.start()
        try:
            await node.board.run_until(
                lambda: (
                    life.crashes > 0
                    or life.resets["watchdog"] > 0
                    or short.is_set()
                    or node.board.now_us >= end_us
                ),
                DAY_S,
            )
        except TimeoutError:
            return False
        finally:
            await node.board.stop()
        whole = not (life.crashes or life.resets["watchdog"] or short.is_set())
        return whole and self._told(node.node_id)

    def _told(self, node_id: str) -> bool:
        # Whether readings and an alarm are stored, and the configuration is told to be in force.
        database = self.fleet.data / "kapok.db"
        uri = f"file:{database}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            answers = [
                connection.execute(question, (node_id, *more)).fetchone()[0]
                for question, more in (
                    (_READINGS, ()),
                    (_ALARMS, (quantity.EVENT,)),
                    (_APPLIED, ()),
                )
            ]
        return all(answers)

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
            await board.run_until(lambda: bool(told), 60.0)
        finally:
            await board.stop()
        return -(-told[0] // 1024)

    async def smallest(self, role: str) -> int:
        """With which it lives through its day, in KB."""
        return await _smallest(lambda kilobytes: self.works(role, kilobytes), role)

    async def floor(self, role: str) -> int:
        """With which a contact succeeds that does nothing else, in KB."""
        made = self.folder / "floor"
        if not made.exists():
            heap_floor.sources(self.folder)
        door = DOORS[role]
        return await _smallest(
            lambda kilobytes: heap_floor.makes_contact(self, role, door, kilobytes, made),
            f"{role}'s contact",
        )


async def _smallest(lives: Callable[[int], Awaitable[bool]], what: str) -> int:
    # By bisection.
    fails, works = 64, 160
    if not await lives(works):
        raise RuntimeError(f"{what} does not end well with {works} KB")
    while works - fails > STEP_KB:
        middle = (works + fails) // 2
        if await lives(middle):
            works = middle
        else:
            fails = middle
    return works


async def run(roles: tuple[str, ...]) -> bool:
    """A line for each role as it is found: the smallest heap and its parts, in KB. Whether all are
    within the limit.
    """
    print(
        f"{'role':<12}{'door':>6}{'heap KB':>9}{'contact':>9}{'shims':>8}{'firmware':>10}"
        f"{'TLS':>6}{'ESP32 has':>11}"
    )
    within = True
    with tempfile.TemporaryDirectory(prefix="kapok-heap-") as folder:
        bench = Bench(Path(folder))
        await bench.start()
        try:
            for role in roles:
                total, shims = await bench.smallest(role), await bench.shims(role)
                contact = await bench.floor(role)
                within = within and total <= LIMIT_KB
                door = DOORS[role]
                tls = TLS_KB if door == "mqtt" else 0
                print(
                    f"{role:<12}{door:>6}{total:>9}{contact:>9}{shims:>8}{total - shims:>10}"
                    f"{tls:>6}{CHIP_KB:>11}",
                    flush=True,
                )
        finally:
            await bench.fleet.stop()
    return within


def main() -> int:
    """Exit code 0 when every role fits."""
    parser = argparse.ArgumentParser(prog="make bench-heap")
    parser.add_argument("roles", nargs="*", default=list(ROLES))
    within = asyncio.run(run(tuple(parser.parse_args().roles)))
    print(
        f"heap: the smallest -X heapsize of the 64-bit VM that works, limit {LIMIT_KB}; contact:"
    )
    print("that of a contact alone, without role and journal; shims: what stands for a chip's C")
    print("modules, and asyncio's core; firmware: the rest of the whole;")
    print("TLS: its allowance, outside that heap; ESP32: without PSRAM, for firmware and TLS")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
