"""The compiled shims of the virtual board, and the flash image that a board starts with."""

import ast
import functools
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fleet.flashing import partitions
from fleet.flashing.chips import CHIPS
from fleet.flashing.filesystem import littlefs_image
from fleet.flashing.partitions import TABLE_OFFSET, Partition
from fleet.flashing.runtime import STOCK
from fleet.paths import firmware_dir
from fleet.releases import romfs
from fleet.releases.borrow import borrow
from fleet.releases.kept import kept
from fleet.releases.shrink import parameters, shrink
from fleet.releases.slots import cache_dir, compile_tree
from hil.virtual import runtime_image
from hil.virtual.shims import _ops

SHIMS = Path(__file__).parent / "shims"
_OURS = ("_link.py", "_rom.py", "_setup.py", "_vfs.py", "flashdev.py", "run.py", "select.py")
_OPERATION = re.compile(r"\b_ops\.([A-Z][A-Z0-9_]*)")


@functools.cache
def shims() -> bytes:
    """The compiled shims as a ROMFS image, which the VM executes in place.

    What a chip has in C takes no heap of it; so little of the shims' as can be does. The channel's
    operation numbers are put in by value, and -O3 drops line numbers.
    """
    sources = {path.name: path.read_text() for path in SHIMS.glob("*.py")}
    numbers = sources.pop("_ops.py")
    sources["_frozen_boot.py"] = (firmware_dir() / "runtime" / "_boot.py").read_text()
    what = ["shims", sources, numbers, Path(__file__).read_text()]
    return kept(cache_dir() / "shims", what, lambda: _compiled(sources))


def _compiled(sources: Mapping[str, str]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kapok-shims-") as temporary:
        plain = {
            name: _OPERATION.sub(_number, _flat(text).replace("import _ops\n", ""))
            for name, text in sources.items()
        }
        known = parameters({n: text for n, text in plain.items() if n not in _OURS})
        small = shrink(plain, known).sources
        offered = {name for text in plain.values() for name in _offered(text)}
        for name, text in borrow(small, known | offered | {"start"}).sources.items():
            (Path(temporary) / name).write_text(text)
        tree = compile_tree(Path(temporary), sources, cache_dir() / "shims", ("-O3",))
    return romfs.image({path.name: path.read_bytes() for path in sorted(tree.glob("*.mpy"))})


def _offered(text: str) -> set[str]:
    """What a module gives by its `__getattr__`, as it says to who reads: by name, at run time."""
    return {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "_LAZY"
        for each in node.body
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }


def _flat(text: str) -> str:
    """What both sides share imports by its package, which the VM's flat folder has not."""
    text = text.replace("from hil.virtual.shims import ", "import ")
    return text.replace("from hil.virtual.shims.", "from ")


def _number(match: re.Match[str]) -> str:
    return repr(getattr(_ops, match[1]))


def make_flash(
    path: Path,
    table: list[Partition],
    flash_size: int,
    files: Mapping[str, bytes],
    chip: str = "esp32s3",
    project: str = STOCK,
) -> None:
    """Write a whole flash image that boots: a runtime's stand-in (`project`: stock or hardened),
    the partition table, and the `vfs` partition with these files. NVS is empty.
    """
    vfs = partitions.find(table, "vfs")
    image = bytearray(b"\xff" * flash_size)

    def put(offset: int, data: bytes) -> None:
        image[offset : offset + len(data)] = data

    put(CHIPS[chip].bootloader_offset, runtime_image.make(chip, project=project))
    put(TABLE_OFFSET, partitions.encode(table))
    put(vfs.offset, littlefs_image(vfs.size, files))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # NVS holds keys
    with os.fdopen(descriptor, "wb") as file:
        file.write(image)


def wipe(path: Path, table: list[Partition], files: Mapping[str, bytes]) -> None:
    """Format the `vfs` partition of an existing image and write these files."""
    put_files(path, table, "vfs", files)


def put_files(path: Path, table: list[Partition], label: str, files: Mapping[str, bytes]) -> None:
    """Format a partition of an existing image as a littlefs with these files."""
    row = partitions.find(table, label)
    with path.open("r+b") as file:
        file.seek(row.offset)
        file.write(littlefs_image(row.size, files))
