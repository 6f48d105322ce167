"""The compiled shims of the virtual board, and the flash image that a board starts with."""

import functools
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fleet.flashing import partitions
from fleet.flashing.filesystem import littlefs_image
from fleet.flashing.partitions import BLOCK, Partition
from fleet.releases import romfs
from fleet.releases.shrink import parameters, shrink
from fleet.releases.slots import cache_dir, compile_tree
from hil.virtual.shims import _ops

SHIMS = Path(__file__).parent / "shims"
_OPERATION = re.compile(r"\b_ops\.([A-Z][A-Z0-9_]*)")


@functools.cache
def shims() -> bytes:
    """The compiled shims as a ROMFS image, which the VM executes in place.

    What a chip has in C takes no heap of it; so little of the shims' as can be does. The channel's
    operation numbers are put in by value, and -O3 drops line numbers.
    """
    sources = {path.name: path.read_text() for path in SHIMS.glob("*.py")}
    del sources["_ops.py"]
    with tempfile.TemporaryDirectory(prefix="kapok-shims-") as temporary:
        plain = {
            name: _OPERATION.sub(_number, _flat(text).replace("import _ops\n", ""))
            for name, text in sources.items()
        }
        for name, text in shrink(plain, parameters(plain)).sources.items():
            (Path(temporary) / name).write_text(text)
        tree = compile_tree(Path(temporary), sources, cache_dir() / "shims", ("-O3",))
    return romfs.image({path.name: path.read_bytes() for path in sorted(tree.glob("*.mpy"))})


def _flat(text: str) -> str:
    """What both sides share imports by its package, which the VM's flat folder has not."""
    text = text.replace("from hil.virtual.shims import ", "import ")
    return text.replace("from hil.virtual.shims.", "from ")


def _number(match: re.Match[str]) -> str:
    return repr(getattr(_ops, match[1]))


def make_flash(
    path: Path, table: list[Partition], flash_size: int, files: Mapping[str, bytes]
) -> None:
    """Write a whole flash image: erased, but for the `vfs` partition with these files."""
    vfs = partitions.find(table, "vfs")
    image = littlefs_image(vfs.size, files)
    with path.open("wb") as file:
        for _ in range(flash_size // BLOCK):
            file.write(b"\xff" * BLOCK)
        file.seek(vfs.offset)
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
