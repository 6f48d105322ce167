"""The hardened runtime on the virtual board: firmware/runtime/_boot.py, where the file system is
good, gone, erased, or half made.
"""

from pathlib import Path

import pytest
from board_rig import TABLE
from trial_rig import Rig, image, rig, write

from fleet.flashing import partitions
from fleet.flashing.filesystem import littlefs_image
from fleet.flashing.runtime import HARDENED
from fleet.paths import firmware_dir
from fleet.releases import rescue, slots
from hil.virtual.board import FLASH_SIZE

VFS = partitions.find(partitions.load(TABLE, FLASH_SIZE), "vfs")
RESCUE = partitions.find(partitions.load(TABLE, FLASH_SIZE), "rescue")
SAYS = "kapok: the file system is lost, so the rescue partition stands in for it"
# In place of the whole rescue application: what it does with the flash.
BODY = """
from node.update import restore
print("lost", restore.lost())
if restore.lost():
    restore.restore()
print("has", [name for name in sorted(os.listdir("/")) if "." in name])
machine.deepsleep(3600_000)
"""


def prepared(folder: Path) -> None:
    """The rescue partition, with a few lines for an application."""
    held = image(folder, "rescue", BODY, 0, more=("update/restore.py",))
    small = {f"/{n}": rescue.minified(firmware_dir() / n) for n in slots.SUPERVISOR}
    write(folder, RESCUE.offset, littlefs_image(RESCUE.size, {rescue.FILE: held, **small}))


async def settled(r: Rig, sleeps: int) -> None:
    await r.board.run_until(lambda: r.board.life.sleeps >= sleeps)


async def test_a_good_one_boots_as_ever(tmp_path: Path) -> None:
    async with rig(tmp_path, "machine.deepsleep(1000)", "pass", project=HARDENED) as r:
        await settled(r, 2)
        assert r.ran == ["old a - good"] * 2
        assert SAYS not in r.lines


@pytest.mark.parametrize("damage", [b"\x5a" * 8192, b"\xff" * 8192])
async def test_a_lost_one_is_made_anew_with_its_supervisor(tmp_path: Path, damage: bytes) -> None:
    async with rig(tmp_path, "pass", "pass", project=HARDENED) as r:
        prepared(tmp_path)
        write(tmp_path, VFS.offset, damage)
        await settled(r, 2)
        assert r.lines.count(SAYS) == 1
        assert [line for line in r.lines if line.startswith("lost")] == ["lost True", "lost False"]
        assert "has ['boot.py', 'main.py', 'trial.py']" in r.lines


async def test_one_without_its_supervisor_is_no_file_system(tmp_path: Path) -> None:
    async with rig(tmp_path, "pass", "pass", project=HARDENED) as r:
        prepared(tmp_path)
        write(tmp_path, VFS.offset, littlefs_image(VFS.size, {"/main.py": b"print(1)\n"}))
        await settled(r, 2)
        assert r.lines.count(SAYS) == 1
        assert "has ['boot.py', 'main.py', 'trial.py']" in r.lines


@pytest.mark.parametrize("mode", ["clean", "half-page", "half-erase"])
async def test_power_fails_while_it_is_made_anew(tmp_path: Path, mode: str) -> None:
    async with rig(tmp_path, "pass", "pass", project=HARDENED) as r:
        prepared(tmp_path)
        write(tmp_path, VFS.offset, b"\x5a" * 8192)
        for n in (65, 90, 115):  # the first 60 put the rescue application into its place
            r.board.cut_at_flash_operation(n, mode)
            r.board.power_on()
            await r.board.run_until(lambda: r.board.state == "off" or r.board.life.sleeps > 0)
            if r.board.state != "off":
                break
        else:
            r.board.power_on()
        await settled(r, 2)
        assert "has ['boot.py', 'main.py', 'trial.py']" in r.lines


async def test_a_stock_runtime_stays_with_a_lost_one_for_ever(tmp_path: Path) -> None:
    async with rig(tmp_path, "pass", "pass") as r:
        prepared(tmp_path)
        write(tmp_path, VFS.offset, b"\x5a" * 8192)
        with pytest.raises(RuntimeError):
            await settled(r, 1)
