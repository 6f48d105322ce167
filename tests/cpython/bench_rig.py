"""`kapok bench` in a process of its own."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleet.flashing.hardware import load_board
from fleet.paths import firmware_dir
from fleet.releases import slots
from hil.virtual import firmware
from hil.virtual.bench.control import ask


class Bench:
    """A bench that runs; `facts` is what its first line told."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder = folder
        self.facts = facts

    def port(self, name: str) -> str:
        """Where the board is plugged now."""
        boards = json.loads((self.folder / "bench.json").read_text())["boards"]
        return str(next(board["port"] for board in boards if board["name"] == name))

    def do(self, board: str, do: str, **more: Any) -> dict[str, Any]:
        """Over the control socket."""
        return ask(self.folder, {"board": board, "do": do, **more})


def factory(folder: Path, name: str) -> Path:
    """A whole flash image of this board with the application of this tree."""
    board = load_board(name)
    files = slots.build(firmware_dir(), slots.cache_dir() / "node")
    path = folder / "image.bin"
    firmware.make_flash(path, board.table, board.flash_bytes, files, board.chip)
    return path


def command(folder: Path, *options: object) -> list[str]:
    words = [str(option) for option in options]
    return [sys.executable, "-m", "fleet", "bench", "--folder", str(folder), *words]


@contextlib.contextmanager
def bench(folder: Path, *options: object, pace: str = "none") -> Iterator[Bench]:
    """Whoever leaves ends it by Ctrl-C, and it ends well."""
    process = subprocess.Popen(
        command(folder, "--json", "--pace", pace, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Bench(folder, json.loads(line))
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert not (folder / "bench.json").exists()
