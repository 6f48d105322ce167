"""A virtual board on a PTY, and the unmodified mpremote as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from board_rig import MAC, START, flash

from hil.virtual.board import VirtualBoard
from hil.virtual.esprom.wire import Wire


class Prompt:
    """The board, what it sent so far, and tools at its port."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        self.folder = folder
        self.wire = wire
        self.board: VirtualBoard
        self.sent = bytearray()
        self._awaited = b""
        self._came = asyncio.Event()

    def send(self, data: bytes) -> None:
        """What the board says: to the port, and kept."""
        self.sent += data
        if self._awaited in self.sent:
            self._came.set()
        self.wire.send(data)

    async def start_mpremote(self, *arguments: str, cwd: Path | None = None) -> Any:
        """`mpremote connect PORT arguments`, running."""
        environment = os.environ | {"HOME": str(self.folder), "COLUMNS": "100"}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mpremote", "connect", self.wire.name, *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=cwd or self.folder,
        )  # fmt: skip

    async def mpremote(self, *arguments: str, code: int = 0, timeout_s: float = 60) -> str:
        """What it printed; AssertionError when its exit code is another one."""
        process = await self.start_mpremote(*arguments)
        try:
            async with asyncio.timeout(timeout_s):
                out, _ = await process.communicate(b"")
        except TimeoutError:
            process.kill()
            tail = bytes(self.sent[-800:])
            raise AssertionError(f"mpremote {arguments} hangs; board: {tail!r}") from None
        text: str = out.decode(errors="replace").replace("\r\n", "\n")
        assert process.returncode == code, (arguments, text, bytes(self.sent[-400:]))
        return text

    async def until(self, text: bytes, timeout_s: float = 60) -> None:
        """Until the board has sent these bytes."""
        self._awaited = text
        self._came.clear()
        if text not in self.sent:
            async with asyncio.timeout(timeout_s):
                await self._came.wait()

    def type_in(self, data: bytes) -> None:
        """Somebody types, after forgetting what was sent before."""
        self.sent.clear()
        self.board.type_in(data)


@asynccontextmanager
async def prompt(
    folder: Path, boot: str = "", files: Mapping[str, bytes] | None = None, **options: Any
) -> AsyncIterator[Prompt]:
    """A board that runs on its own on a PTY. Opening the port of a sleeping board pulses EN."""
    flash(folder, boot, files)
    p = Prompt(folder, Wire())
    p.board = VirtualBoard(folder, MAC, start=START, serial=p.send, **options)

    def opened() -> None:
        if p.board.state == "asleep":
            p.board.reset()

    p.wire.heard = p.board.type_in
    p.wire.opened = opened
    p.board.start()
    try:
        yield p
    finally:
        await p.board.stop()
        p.wire.unplug()
