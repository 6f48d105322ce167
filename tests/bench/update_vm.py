"""What verifying and building take of a node's heap and time: the real bytecode in the real VM."""

import hashlib
import importlib
import io
import json
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import release_rig
from node.update import delta
from release_rig import EXPIRY, METER

from fleet.paths import firmware_dir
from fleet.releases import diff, romfs, slots, target
from fleet.wire import cbor, release

OLD, NEW = 1, 2
STEP_KB = 1
RUNS = 5
_BLOCK = 512
_SCRIPT = Path(__file__).parents[1] / "vm" / "update_bench.py"
_VM = Path(sys.executable).with_name("micropython")


def table(folder: Path) -> tuple[list[str], int]:
    """Lines for people, and the larger of both heaps in KB."""
    old, new = (_bundle(n) for n in (OLD, NEW))
    before, after = (b.components[release.APPLICATION] for b in (old, new))
    here = folder / "vm"
    patch = diff.make(before, after)
    _prepare(here, new, before, patch)
    lines = [
        "",
        "the VM's heap (64 bits, bytecode in the heap; a chip takes about half), and time",
    ]
    heaps = {}
    for what in ("nothing", "verify", "apply"):
        heaps[what] = _smallest(here, what)
        took = min(_run(here, what, 512)["us"] for _ in range(RUNS)) / 1000
        lines.append(f"{what:<12}{heaps[what]:>6} KB{took:>10.1f} ms")
    own = _time(
        lambda: delta.build(
            io.BytesIO(patch), release.DELTA, io.BytesIO(before), len(after), bytearray().extend
        )
    )
    theirs = _time(lambda: _detools(before, patch))
    lines.append(
        f"the same patch on CPython: the node's code {own:.1f} ms, detools {theirs:.1f} ms"
    )
    return lines, max(heaps["verify"], heaps["apply"])


def _bundle(sequence: int) -> Any:
    return release_rig.signed(release_rig.real(sequence), release_rig.keys().release)


def _prepare(here: Path, new: Any, base: bytes, patch: bytes) -> None:
    tree = here / "tree"
    # As in a node, but that the script finds the names that it reaches for.
    whole = target.image(
        firmware_dir(), slots.cache_dir() / "node", METER, NEW, _SCRIPT.read_text()
    )
    for name, data in romfs.read(whole).items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    stream = new.envelope + patch
    assignment = release.Assignment(
        NEW, hashlib.sha256(new.manifest).digest()[:16], EXPIRY, len(stream),
        [(release.APPLICATION, release.DELTA, len(patch), target.image_digest(base)[:8])],
        bytes(16),
    )  # fmt: skip
    (here / "job").write_bytes(cbor.encode([1, release.assign(assignment), 1, 0, 0, 0]))
    blocks = b""
    for at in range(0, len(stream), _BLOCK):
        data = stream[at : at + _BLOCK]
        blocks += struct.pack("<HH", at // 256, len(data)) + data
    (here / "blocks").write_bytes(blocks)
    (here / "trust").write_bytes(release_rig.keys().trust)
    (here / "base").write_bytes(base)


def _run(here: Path, what: str, kilobytes: int) -> dict[str, int]:
    (here / "built").unlink(missing_ok=True)
    command = [str(_VM), "-X", f"heapsize={kilobytes}k", str(_SCRIPT), str(here / "tree"),
               str(here), what]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode:
        raise MemoryError(result.stdout + result.stderr)
    told: dict[str, int] = json.loads(result.stdout.splitlines()[-1])
    return told


def _smallest(here: Path, what: str) -> int:
    fails, works = 2, 128
    _run(here, what, works)
    while works - fails > STEP_KB:
        middle = (works + fails) // 2
        try:
            _run(here, what, middle)
            works = middle
        except MemoryError as e:
            if "MemoryError" not in str(e) and "memory" not in str(e):
                raise
            fails = middle
    return works


def _time(action: Callable[[], None]) -> float:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        action()
        took.append(time.perf_counter() - began)
    return min(took) * 1000


def _detools(base: bytes, patch: bytes) -> None:
    theirs: Any = importlib.import_module("detools")  # it has no types
    theirs.apply_patch(io.BytesIO(base), io.BytesIO(zlib.decompress(patch)), io.BytesIO())
