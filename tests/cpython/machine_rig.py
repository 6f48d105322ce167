"""A board of the bench in this process, with a firmware of a few lines, and its requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from typing import Any

from fleet.flashing.hardware import load_board
from hil.virtual import firmware
from hil.virtual.bench.folder import Folder
from hil.virtual.bench.machine import Machine
from hil.virtual.bench.place import Setting
from hil.virtual.bench.run import Bench
from hil.virtual.bench.spec import Spec
from hil.virtual.board import VirtualBoard
from hil.virtual.esprom.rig import Switches


class Stand:
    """One board on a bench; `ask` is a request to its control socket, without the socket."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        application = bench.places["1"].application
        assert isinstance(application, Machine)
        self.machine = application

    @property
    def board(self) -> VirtualBoard:
        return self.machine.board

    async def ask(self, do: str, **more: Any) -> dict[str, Any]:
        found = self._bench._answer({"board": "1", "do": do, **more})
        return found if isinstance(found, dict) else await found


@contextlib.asynccontextmanager
async def stand(
    folder: Path, name: str, boot: str, rate: float = 0, scenario: str | None = None
) -> AsyncIterator[Stand]:
    """The board of this description runs this boot.py, and its time stands still."""
    board = load_board(name)
    (folder / "1").mkdir(parents=True)
    files = {"/boot.py": dedent(boot).encode()}
    flash = folder / "1" / "flash.bin"
    firmware.make_flash(flash, board.table, board.flash_bytes, files, board.chip)
    held = Folder(folder)
    held.hold()
    setting = Setting(
        paced=False, rate=rate, scenario=scenario, switches=Switches(wake_on_open=False)
    )
    bench = Bench(held, [Spec(name)], setting, Machine)
    ready = asyncio.Event()
    task = asyncio.create_task(bench.run(lambda _: ready.set()))
    try:
        await ready.wait()
        yield Stand(bench)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        held.let_go()
