"""The slot's image: installed once into the mapped partition, replaced when it is another, and
whole after a power cut at any flash operation.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from board_rig import MAC, START, TABLE

from fleet.flashing import partitions
from fleet.paths import firmware_dir
from fleet.releases import slots
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard

MAIN = """
import machine, sys
PADDING = %r
def run():
    print("runs", %r, len(PADDING), sys.path)
    machine.deepsleep(1000)
"""
HEAD_LAST = "tuple(range(_BLOCK, size, _BLOCK)) + (0,)"
HEAD_FIRST = "range(0, size, _BLOCK)"
UNCHECKED = {"if hasher.digest() != digest:": "if False:"}


def slot(folder: Path, name: str, size: int = 9000) -> dict[str, bytes]:
    """The files of a flash whose application prints its name; over `size` bytes long."""
    node = folder / f"fw {name}" / "node"
    node.mkdir(parents=True)
    (node / "__init__.py").touch()
    (node / "main.py").write_text(MAIN % (name[:1] * size, name))
    (node / "selftest.py").write_text("def run(): pass\n")
    for supervisor in slots.SUPERVISOR:
        (node.parent / supervisor).write_bytes((firmware_dir() / supervisor).read_bytes())
    return slots.build(node.parent, folder / "build")


@asynccontextmanager
async def flashed(
    folder: Path, files: dict[str, bytes], lines: list[str]
) -> AsyncIterator[VirtualBoard]:
    table = partitions.load(TABLE, FLASH_SIZE)
    firmware.make_flash(folder / "flash.bin", table, FLASH_SIZE, files)
    board = VirtualBoard(folder, MAC, start=START, console=lines.append)
    try:
        yield board
    finally:
        await board.stop()


async def sleeps(board: VirtualBoard) -> None:
    """Run to the end of this wake, however it ends."""
    life = board.life

    def ends() -> int:
        return life.sleeps + life.crashes + life.resets["watchdog"]

    before = ends()
    await board.run_until(lambda: ends() > before or board.state == "off")


async def test_a_slot_is_installed_once(tmp_path: Path) -> None:
    lines: list[str] = []
    async with flashed(tmp_path, slot(tmp_path, "one"), lines) as board:
        await sleeps(board)
        programs = board.life.programs
        assert programs >= 3
        assert board.life.erases == programs - 1  # the head by itself
        await sleeps(board)
        assert board.life.programs == programs
    assert lines == ["runs one 9000 ['/rom', '.frozen']"] * 2


async def test_another_image_replaces_it_however_short(tmp_path: Path) -> None:
    lines: list[str] = []
    async with flashed(tmp_path, slot(tmp_path, "one"), lines) as board:
        await sleeps(board)
        await board.power_cut()
        board.wipe_vfs(slot(tmp_path, "two", 10))
        board.power_on()
        await sleeps(board)
    assert [line.split()[1] for line in lines] == ["one", "two"]


async def test_an_image_that_does_not_fit_says_so_and_the_node_sleeps(tmp_path: Path) -> None:
    lines: list[str] = []
    async with flashed(tmp_path, slot(tmp_path, "big", 230_000), lines) as board:
        await sleeps(board)
        assert board.state == "asleep"
    assert any("its partition 229376" in line for line in lines)
    assert "no rescue application" in lines[-1]


async def test_a_table_without_the_partition_says_so_and_the_node_sleeps(tmp_path: Path) -> None:
    lines: list[str] = []
    bare = tmp_path / "bare.csv"
    bare.write_text("\n".join(r for r in TABLE.read_text().splitlines() if "romfs" not in r))
    table = partitions.load(bare, FLASH_SIZE)
    firmware.make_flash(tmp_path / "flash.bin", table, FLASH_SIZE, slot(tmp_path, "one"))
    board = VirtualBoard(tmp_path, MAC, start=START, console=lines.append)
    try:
        await sleeps(board)
        assert board.state == "asleep"
    finally:
        await board.stop()
    assert any("no romfs partition" in line for line in lines)


def sabotaged(files: dict[str, bytes], changes: Mapping[str, str]) -> None:
    """Change the text of boot.py, where each of these must be."""
    for old, new in changes.items():
        assert old.encode() in files["/boot.py"]
        files["/boot.py"] = files["/boot.py"].replace(old.encode(), new.encode())


async def cut_everywhere(folder: Path, mode: str, sabotage: Mapping[str, str]) -> tuple[int, int]:
    """Replace one by two with a power cut at operation n, for each n: cuts, and broken boots."""
    files = {name: slot(folder, name) for name in ("one", "two")}
    for slot_files in files.values():
        sabotaged(slot_files, sabotage)
    lines: list[str] = []
    broken = n = 0
    async with flashed(folder, files["one"], lines) as board:
        while True:
            board.power_on()
            await sleeps(board)
            await board.power_cut()
            board.wipe_vfs(files["two" if lines[-1].split()[1] == "one" else "one"])
            board.cut_at_flash_operation(n, mode)
            board.power_on()
            await sleeps(board)
            if board.state != "off":
                return n, broken
            lines.clear()
            board.power_on()
            await sleeps(board)
            await board.power_cut()
            if not lines or not lines[-1].startswith("runs"):
                broken += 1
                board.wipe_vfs(files["one"])
            n += 1


@pytest.mark.parametrize("mode", ["clean", "half-page", "half-erase"])
async def test_a_cut_at_any_operation_of_the_copy_costs_nothing(tmp_path: Path, mode: str) -> None:
    cuts, broken = await cut_everywhere(tmp_path, mode, {})
    assert cuts >= 6
    assert broken == 0


async def test_with_its_head_first_a_copy_cut_short_would_be_taken_for_whole(
    tmp_path: Path,
) -> None:
    _, broken = await cut_everywhere(tmp_path, "clean", {HEAD_LAST: HEAD_FIRST, **UNCHECKED})
    assert broken > 0
