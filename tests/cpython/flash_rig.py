"""Bare boards for flashing: flash, eFuses and loader in a process of their own, on a PTY each."""

import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fleet.flashing import plan
from fleet.flashing.esptool_run import Stop
from fleet.flashing.filesystem import littlefs_image
from fleet.flashing.flash_board import Order, Progress, Result, Target, flash_board
from fleet.flashing.partitions import Partition, encode
from fleet.flashing.ports import Port

MIB = 1 << 20
NVS = Partition("nvs", 1, 2, 0x9000, 0x4000)
APP = Partition("ota_0", 0, 0x10, 0x10000, 0x60000)
VFS = Partition("vfs", 1, 0x81, 0x90000, 0x40000)
MAC = "3c71bf4a0b1c"
NODE = "1we6zmm2rw"


class BareBoard(NamedTuple):
    """A running board: its port and its folder."""

    port: Port
    folder: Path
    process: subprocess.Popen[str]

    def flash(self, offset: int, size: int) -> bytes:
        """What lies in flash."""
        with (self.folder / "flash.bin").open("rb") as file:
            file.seek(offset)
            return file.read(size)


class Region(NamedTuple):
    """As of layout."""

    name: str
    offset: int
    data: bytes


@contextmanager
def bare_board(folder: Path, *options: str, chip: str = "esp32s3") -> Iterator[BareBoard]:
    """A board with these options of hil.virtual.esprom."""
    command = [sys.executable, "-m", "hil.virtual.esprom", "--chip", chip, str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        name = process.stdout.readline().strip()
        assert name, "it did not start"
        yield BareBoard(Port(name, name, "hub"), folder, process)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def burn(folder: Path, chip: str, *fuses: str) -> None:
    """Burn eFuses of a board that is not running, with the real espefuse on its file."""
    subprocess.run(
        [
            sys.executable, "-m", "espefuse", "--chip", chip, "--virt",
            "--path-efuse-file", str(folder / "efuse.bin"), "--do-not-confirm",
            "burn-efuse", *fuses,
        ],
        check=True, capture_output=True,
    )  # fmt: skip


@cache
def code(size: int, seed: int = 1) -> bytes:
    """Bytes that compress about as programs do."""
    chance = random.Random(seed)
    words = [chance.randbytes(4) for _ in range(4096)]
    return b"".join(chance.choices(words, k=size // 4 + 1))[:size]


def regions(files: dict[str, bytes] | None = None, chip: str = "esp32s3") -> list[Region]:
    """A small board's content, in the order of writing."""
    start = 0x1000 if chip == "esp32" else 0
    files = files or {"/a.romfs": code(30_000, 3)}
    return [
        Region("bootloader", start, code(0x5000, 2)),
        Region("partition-table", 0x8000, encode([NVS, APP, VFS])),
        Region("ota_0", APP.offset, code(0x50000)),
        Region("vfs", VFS.offset, littlefs_image(VFS.size, files)),
    ]


def order(
    folder: Path, content: Iterable[Region], *, chip: str = "esp32s3", **more: object
) -> Order:
    """An order for it; the pieces lie in `folder`."""
    folder.mkdir(exist_ok=True)
    target = Target("test-board", chip, 4 * MIB, rows=(NVS, VFS))
    pieces = plan.make(content, folder)
    made = Order(target, lambda: pieces, watch_s=0, journal_folder=folder / "journals")
    return made._replace(**more)


def flash(
    board: BareBoard, wanted: Order, stop: Stop | None = None, said: list[Progress] | None = None
) -> Result:
    """Flash it, with no display."""
    heard: list[Progress] = [] if said is None else said
    return flash_board(board.port, wanted, stop or Stop(), heard.append)


def holds(board: BareBoard, content: Iterable[Region]) -> bool:
    """Whether the board's flash has exactly these regions."""
    return all(board.flash(each.offset, len(each.data)) == each.data for each in content)
