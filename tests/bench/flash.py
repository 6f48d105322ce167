"""What `kapok flash` costs over the raw tool: `make bench-flash`.

One virtual board, flash and line at their real pace, the line held to 460,800 baud. The same bytes
are written by `esptool write-flash`, from files for each region; then by `kapok flash`, to a blank
board and again with only the application changed. Without the watch of the first boot. Exit code 1
where a ratio is over its limit.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench_rig import bench

from fleet.flashing import flash_order
from fleet.flashing.board_session import read_region
from fleet.flashing.plan import PIECE
from fleet.flashing.ports import find
from fleet.paths import firmware_dir

BAUD = 460_800
FIRST, AGAIN = 1.1, 0.3  # most of what the raw tool takes
BOARD, NODE = "esp32s3-bc660k", "gas-meter"
ADDED = "\n\ndef _changed_by_the_bench():\n    return 42\n"


class Files(NamedTuple):
    """Regions as whole files, for the raw tool: (offset, path)."""

    regions: list[tuple[int, Path]]

    @property
    def size(self) -> int:
        """Bytes of all."""
        return sum(path.stat().st_size for _, path in self.regions)


def _whole(folder: Path, runtime: Path | None) -> Files:
    """The regions of a plan, each joined to one file again."""
    pieces = folder / "pieces"
    pieces.mkdir()
    plan = flash_order.prepare(NODE, runtime, find(["virtual:1"])).make(None, pieces)
    regions = []
    for name in plan.regions:
        mine = [piece for piece in plan.pieces if piece.name == name]
        path = folder / f"{name}.bin"
        path.write_bytes(b"".join(Path(piece.path).read_bytes() for piece in mine))
        regions.append((mine[0].offset, path))
    return Files(regions)


def _raw(port: str, files: Files) -> float:
    command = [sys.executable, "-m", "esptool", "--port", port, "--baud", str(BAUD), "write-flash"]
    for offset, path in files.regions:
        command += [hex(offset), str(path)]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def _kapok(runtime: Path | None, *options: str) -> tuple[float, list[str]]:
    command = [
        sys.executable, "-m", "fleet", "flash", "--ports", "virtual:1", "--node", NODE,
        "--baud", str(BAUD), "--no-watch", "--json", *options,
    ]  # fmt: skip
    if runtime is not None:
        command += ["--runtime", str(runtime)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"kapok flash failed: {done.stdout}{done.stderr}")
    return took, json.loads(done.stdout)[0]["written"]


def _changed(folder: Path) -> Path:
    """The firmware with one function more."""
    copy = folder / "firmware"
    shutil.copytree(firmware_dir(), copy)
    with (copy / "node" / "cycle.py").open("a") as file:
        file.write(ADDED)
    return copy


def measure(folder: Path, runtime: Path | None) -> tuple[float, float, float, int]:
    """Seconds of the raw tool, of the first run, and of the run after a change; bytes."""
    options = ("--board", BOARD, "--boards", "1", "--link-baud", str(BAUD))
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    os.environ["KAPOK_BENCH"] = str(folder / "raw")
    with bench(folder / "raw", *options, pace="real"):
        (port,) = find(["virtual:1"])
        files = _whole(folder, runtime)
        raw = _raw(port.device, files)
    os.environ["KAPOK_BENCH"] = str(folder / "kapok")
    with bench(folder / "kapok", *options, pace="real"):
        first, _ = _kapok(runtime)
        (port,) = find(["virtual:1"])
        for offset, path in files.regions:
            data = path.read_bytes()
            if read_region(port, offset, min(len(data), PIECE)) != data[:PIECE]:
                raise SystemExit(f"the flash at {offset:#x} is not what was ordered")
        again, written = _kapok(runtime, "--firmware", str(_changed(folder)))
        if written != ["vfs"]:
            raise SystemExit(f"only the application changed, and {written} was written")
    return raw, first, again, files.size


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flash", description=__doc__)
    parser.add_argument("--runtime", type=Path, help="else a stand-in of the same size")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kapok-bench-flash-") as folder:
        raw, first, again, size = measure(Path(folder), given.runtime)
    print(f"esptool write-flash, {size / 1e6:.2f} MB at {BAUD} baud: {raw:.1f} s")
    over = False
    for what, took, most in (
        ("kapok flash, blank board", first, FIRST),
        ("kapok flash, only the application changed", again, AGAIN),
    ):
        ratio = took / raw
        over = over or ratio > most
        verdict = "OVER" if ratio > most else "ok"
        print(f"{what}: {took:.1f} s, {ratio:.2f} of raw (at most {most}): {verdict}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
