"""The board's power fails in the middle of a flash operation."""

from pathlib import Path

import pytest
from board_rig import rig

from hil.virtual.board import BoardError

_WRITER = """
    import machine, os
    try:
        with open("/value") as f:
            n = int(f.read())
    except OSError:
        n = 0
    print("found", n)
    for i in range(n + 1, n + 4):
        with open("/new", "w") as f:
            f.write(str(i))
        os.rename("/new", "/value")
        print("wrote", i)
    machine.deepsleep(1000)
"""


@pytest.mark.parametrize("mode", ["clean", "half-page", "half-erase"])
async def test_every_flash_operation_of_a_boot_can_be_the_last(tmp_path: Path, mode: str) -> None:
    async with rig(tmp_path, _WRITER) as r:
        board = r.board
        cuts = n = 0
        while True:
            board.cut_at_flash_operation(n, mode)
            r.lines.clear()
            if board.state == "off":
                board.power_on()
            target = board.life.sleeps + 1

            def over(target: int = target) -> bool:
                return board.state == "off" or board.life.sleeps == target

            await board.run_until(over)
            if board.state != "off":
                break
            cuts += 1
            n += 1
            wrote = ([0, *r.all("found"), *r.all("wrote")])[-1]
            r.lines.clear()
            board.power_on()
            await board.run_until(lambda: bool(r.all("found")))
            assert r.all("found")[0] in (wrote, wrote + 1)
            await board.run_until(lambda: board.state == "asleep")
            await board.power_cut()
        assert cuts > 8
        assert board.life.programs > 0
        assert board.life.erases > 0


async def test_a_cut_can_be_armed_while_the_board_runs_and_counts_over_boots(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, _WRITER) as r:
        await r.line("found")
        r.board.cut_at_flash_operation(60)
        await r.board.run_until(lambda: r.board.state == "off")
        assert r.board.life.boots > 2
        assert 60 <= r.board.life.programs + r.board.life.erases <= 90


async def test_a_wiped_board_keeps_its_nvs(tmp_path: Path) -> None:
    async with rig(tmp_path, _WRITER) as r:
        r.board.nvs.set_blob("kapok", "cfg", b"x")
        await r.board.run_until(lambda: r.board.life.sleeps == 1)
        with pytest.raises(BoardError, match="cut the power"):
            r.board.wipe_vfs({})
        await r.board.power_cut()
        r.board.wipe_vfs({"/boot.py": (b"import os\nprint('files', os.listdir('/'))")})
        r.board.power_on()
        assert await r.line("files") == "['boot.py']"
        assert r.board.nvs.get("kapok", "cfg") == b"x"
