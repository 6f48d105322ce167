"""A virtual board whose slots hold a few lines each, and the firmware's node/update/slots."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent, indent

from board_rig import MAC, START, TABLE

from fleet.flashing import partitions
from fleet.paths import firmware_dir
from fleet.releases import slots
from fleet.wire import cbor
from hil.virtual import firmware
from hil.virtual.board import FLASH_SIZE, VirtualBoard

_REAL = (
    "config.py", "errors.py", "modules.py", "update/__init__.py", "update/slots.py",
    "wire/__init__.py", "wire/cbor.py",
)  # fmt: skip
_MAIN = """
import machine, os, sys, esp32
from node.update import slots

def run():
    print("runs", NAME, " ".join(slots.pointer()))
"""
OTA_1 = 0x190000


def image(
    folder: Path, name: str, body: str, sequence: int, head: str = "", more: Iterable[str] = ()
) -> bytes:
    """A slot that prints `runs <name> <pointer>` and goes on with `body`; `more` of the firmware's
    modules are in it.
    """
    node = folder / f"fw {name}" / "node"
    node.mkdir(parents=True)
    for path in (*_REAL, *more):
        (node / path).parent.mkdir(exist_ok=True)
        (node / path).write_bytes((firmware_dir() / "node" / path).read_bytes())
    main = head + _MAIN.replace("NAME", repr(name)) + indent(dedent(body), "    ")
    texts = {"__init__.py": "", "main.py": main, "selftest.py": "def run(): pass\n"}
    for file, text in texts.items():
        (node / file).write_text(text)
    names = [path.relative_to(node.parent).as_posix() for path in node.rglob("*.py")]
    tree = slots.compile_tree(node.parent, names, folder / "built")
    files = {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*.mpy")}
    return slots.slot_image({**files, "release": cbor.encode([sequence, "", ""])})


class Rig:
    """The board, and the lines that it printed."""

    def __init__(self, board: VirtualBoard, lines: list[str]) -> None:
        self.board = board
        self.lines = lines

    @property
    def ran(self) -> list[str]:
        """`<name> <pointer>` of each life, in order."""
        return [line[5:] for line in self.lines if line.startswith("runs ")]

    async def until(self, line: str, timeout_s: float = 60) -> None:
        """Until this is printed."""
        await self.board.run_until(lambda: line in self.lines, timeout_s)


@asynccontextmanager
async def rig(
    folder: Path,
    old: str,
    new: str,
    *,
    head: str = "",
    files: Mapping[str, bytes] | None = None,
    project: str = "micropython",
) -> AsyncIterator[Rig]:
    """A board with slot a, good and of release 1, and an image of release 2 at /b.romfs."""
    supervisor = {f"/{name}": (firmware_dir() / name).read_bytes() for name in slots.SUPERVISOR}
    contents = {
        **supervisor,
        "/a.romfs": image(folder, "old", old, 1),
        "/b.romfs": image(folder, "new", new, 2, head),
        **(files or {}),
    }
    table = partitions.load(TABLE, FLASH_SIZE)
    firmware.make_flash(folder / "flash.bin", table, FLASH_SIZE, contents, project=project)
    lines: list[str] = []
    board = VirtualBoard(folder, MAC, start=START, console=lines.append)
    try:
        yield Rig(board, lines)
    finally:
        await board.stop()


def write(folder: Path, offset: int, data: bytes) -> None:
    """Into the flash, from outside."""
    with (folder / "flash.bin").open("r+b") as file:
        file.seek(offset)
        file.write(data)
