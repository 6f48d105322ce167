"""The stimulus board's firmware on a virtual board, with its serial line in a test's hands."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from board_rig import MAC, START, flash

from fleet.paths import firmware_dir
from hil.virtual.board import VirtualBoard
from hil.virtual.twin import UartTwin

SOURCES = Path(__file__).parents[2] / "hil" / "stimulus"
CODECS = ("modbus", "dlt645", "cjt188")
RUN = b"\x03\x03\x01import board\nboard.serve()\n\x04"


def files() -> dict[str, bytes]:
    """What lies in the board's file system, but for main.py: the prompt starts it."""
    wire = firmware_dir() / "node" / "wire"
    paths = [path for path in SOURCES.glob("*.py") if path.name != "main.py"]
    paths += [wire / f"{name}.py" for name in CODECS]
    return {f"/{path.name}": path.read_bytes() for path in paths}


class Stimulator:
    """The board, and requests to it: `ask` sends one and gives the answer."""

    def __init__(self, board: VirtualBoard, said: bytearray) -> None:
        self.board = board
        self._said = said
        self._read = 0

    async def line(self, start: str) -> str:
        """The next line that begins like this."""
        found: list[str] = []

        def there() -> bool:
            while (end := self._said.find(b"\n", self._read)) >= 0:
                text = self._said[self._read : end].decode().strip("\r\x04>")
                self._read = end + 1
                if text.removeprefix("OK").startswith(start):
                    found.append(text.removeprefix("OK"))
                    return True
            return False

        await self.board.run_until(there, 30)
        return found[0]

    async def send(self, text: str) -> dict[str, Any]:
        self.board.type_in(text.encode() + b"\n")
        told: dict[str, Any] = json.loads(await self.line("{"))
        return told

    async def ask(self, **asked: Any) -> dict[str, Any]:
        return await self.send(json.dumps(asked))


@asynccontextmanager
async def stimulator(
    folder: Path, twins: Mapping[int, UartTwin] | None = None
) -> AsyncIterator[Stimulator]:
    """It serves, with nothing wired."""
    flash(folder, "", files())
    said = bytearray()
    board = VirtualBoard(
        folder, MAC, start=START, serial=said.extend, twins=twins, heapsize="220k", haste=50.0
    )
    made = Stimulator(board, said)
    try:
        board.power_on()
        await board.run_until(lambda: b">>> " in said, 30)
        board.type_in(RUN)
        ready = json.loads(await made.line('{"ready"'))
        assert ready == {"ready": "kapok-stimulus", "version": 1}
        yield made
    finally:
        await board.stop()
        await asyncio.sleep(0)
