"""A virtual board with a firmware of a few lines, for tests."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from fleet.flashing import partitions
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard
from hil.virtual.twin import UartPort

MAC = bytes.fromhex("3c71bf0a0b0c")
START = 1_767_225_600_000_000  # 2026-01-01 in us since 1970
SECOND = 1_000_000
TABLE = Path(__file__).parents[2] / "hw" / "partitions" / "4MiB.csv"


class Rig:
    """The board and the lines that its firmware printed."""

    def __init__(self, board: VirtualBoard, lines: list[str]) -> None:
        self.board = board
        self.lines = lines

    async def line(self, start: str, timeout_s: float = 60) -> str:
        """The first line, printed or to be printed, that begins like this; without it."""
        await self.board.run_until(lambda: bool(self._find(start)), timeout_s)
        return self._find(start)[0]

    def _find(self, start: str) -> list[str]:
        return [line[len(start) :].strip() for line in self.lines if line.startswith(start)]

    def all(self, start: str) -> list[Any]:
        """The rest of every line that begins like this, as JSON."""
        return [json.loads(text) for text in self._find(start)]


def flash(
    folder: Path, boot: str, files: Mapping[str, bytes] | None = None, chip: str = "esp32s3"
) -> None:
    """Write the flash image of a board with this boot.py."""
    table = partitions.load(TABLE, FLASH_SIZE)
    contents = {"/boot.py": dedent(boot).encode(), **(files or {})}
    firmware.make_flash(folder / "flash.bin", table, FLASH_SIZE, contents, chip)


@asynccontextmanager
async def rig(folder: Path, boot: str, **options: Any) -> AsyncIterator[Rig]:
    """A board with this boot.py, off until the first `run_until`."""
    flash(folder, boot, chip=options.get("chip", "esp32s3"))
    lines: list[str] = []
    board = VirtualBoard(folder, MAC, start=START, console=lines.append, **options)
    try:
        yield Rig(board, lines)
    finally:
        await board.stop()


class Twin:
    """Does nothing by itself; `port` is the board's side."""

    port: UartPort

    def __init__(self) -> None:
        self.got = bytearray()
        self.events: list[str] = []
        self.on_data: Callable[[bytes], None] = lambda data: None

    def attach(self, port: UartPort) -> None:
        self.port = port

    def on_bytes(self, data: bytes) -> None:
        self.got += data
        self.on_data(data)

    def power_on(self) -> None:
        self.events.append("on")

    def power_off(self) -> None:
        self.events.append("off")

    def deep_sleep_of_host(self) -> None:
        self.events.append("sleep")

    def pin(self, name: str, level: int) -> None:
        self.events.append(f"{name}={level}")
