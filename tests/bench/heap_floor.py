"""What a contact takes that does nothing but tell a status: no role, no journal, no configuration.

A heap that is smaller than that lets no node reach the fleet, whatever its application spares.
"""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.paths import firmware_dir
from hil.provisioning import enrol
from hil.virtual.node import VirtualNode, mac_of

if TYPE_CHECKING:
    from tests.bench.heap import Bench

_CONTACT_S = 60.0
_MAIN = '''"""One contact, and nothing else."""
import gc
gc.threshold(4096)
import asyncio
import machine
from node import clock, config
from node.link.session import Session
from node.modules import forget
from node.store.rtcstate import RtcState

async def contact():
    state = RtcState(machine.RTC().memory)
    state.load()
    link = Session(config.load(), state)
    await link.open()
    from node.wire import compact, receipt
    report = compact.encode(1, clock.now(), [], {5: 1})
    forget("node.wire.compact")
    door = await link.door()
    await door.deliver(report, receipt.encode(1, []), door.RECEIPT_MS, True)
    print("contact made")
    machine.deepsleep()

def run():
    asyncio.run(contact())
'''


def sources(folder: Path) -> Path:
    """Firmware sources with that contact for an application."""
    copy = folder / "floor"
    shutil.copytree(firmware_dir(), copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "node" / "main.py").write_text(_MAIN)
    return copy


async def makes_contact(bench: "Bench", role: str, door: str, kilobytes: int, made: Path) -> bool:
    """Whether firmware `made` of it reaches the fleet with a heap of so many KB."""
    from tests.bench.heap import AREA, scene_of

    bench.runs += 1
    ended = asyncio.Event()
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if "contact made" in line or "Error" in line:
            ended.set()

    node = VirtualNode(
        bench.folder / f"run{bench.runs}",
        mac_of(f"heap {bench.runs}"),
        scene_of(role),
        heapsize=f"{kilobytes}k",
        console=hear,
        sources=made,
    )
    credentials = await enrol(bench.fleet, node.node_id, role, AREA[0])
    node.provision(credentials, "localhost", bench.ports[door], door=door)
    node.board.start()
    try:
        with contextlib.suppress(TimeoutError):
            await node.board.run_until(ended, _CONTACT_S)
    finally:
        await node.board.stop()
    return any("contact made" in line for line in said)
