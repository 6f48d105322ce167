"""The VM's own work in a unit that a chip has too: turns of a loop that calls a C function.

`turn_us` is what one takes on this machine, `start_us` what a VM takes that boots and sleeps at
once, with nothing of the firmware.
"""

import asyncio
from pathlib import Path
from statistics import median

from fleet.flashing import partitions
from fleet.paths import hw_dir
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard
from hil.virtual.node import mac_of
from tests.bench.wake_meter import children_us

TURNS = 200_000
TRIES = 5
WAIT_S = 60.0
# As MicroPython's own performance test counts: one call and one addition a turn.
_LOOP = """\
import machine, utime
def spin(n):
    clock = utime.ticks_ms
    end = clock() + (1 << 40)
    count = 0
    while clock() < end:
        count += 1
        if count >= n:
            return
if machine.reset_cause() == machine.PWRON_RESET:
    machine.deepsleep(1000)
spin(%d)
machine.deepsleep(1000)
"""


async def _sleeps(folder: Path, turns: int) -> int:
    """The median of the processor time of some wakes, microseconds."""
    folder.mkdir()
    board = VirtualBoard(folder, mac_of("turns"))
    table = partitions.load(hw_dir() / "partitions" / "4MiB.csv", FLASH_SIZE)
    boot = {"/boot.py": (_LOOP % turns).encode()}
    firmware.make_flash(board.flash_path, table, FLASH_SIZE, boot)
    spent = []
    try:
        await board.run_until(lambda: board.life.sleeps >= 1, WAIT_S)
        for n in range(TRIES):
            before = children_us()
            slept = 2 + n
            await board.run_until(lambda slept=slept: board.life.sleeps >= slept, WAIT_S)
            spent.append(children_us() - before)
    finally:
        await board.stop()
    return round(median(spent))


async def calibrate(folder: Path) -> tuple[float, int]:
    """(turn_us, start_us) of this machine, now."""
    start_us = await _sleeps(folder / "none", 1)
    busy_us = await _sleeps(folder / "many", TURNS)
    await asyncio.sleep(0)
    return (busy_us - start_us) / TURNS, start_us
