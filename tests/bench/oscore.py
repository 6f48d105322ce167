"""What the node's OSCORE costs in the MicroPython VM: `make bench-oscore`.

Times are relative to SHA-256 over 64 bytes in the same run, which a chip's times can be set
beside. Heap: of the VM, whose objects are of 64 bits, about twice a chip's; bytecode lies in
ROMFS as on the chip.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fleet.paths import firmware_dir
from fleet.releases import slots

SCRIPT = Path(__file__).parents[1] / "vm" / "oscore_bench.py"


def measure() -> dict[str, Any]:
    """What `tests/vm/oscore_bench.py` tells: microseconds and bytes."""
    vm = Path(sys.executable).with_name("micropython")
    with tempfile.TemporaryDirectory(prefix="kapok-oscore-") as folder:
        image = Path(folder) / "a.romfs"
        cache = slots.cache_dir() / "node"
        image.write_bytes(
            slots.build(firmware_dir(), cache, script=SCRIPT.read_text())["/a.romfs"]
        )
        ran = subprocess.run(
            [vm, "-X", "heapsize=4m", SCRIPT, image],
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode:
        raise RuntimeError(f"the VM ended with {ran.returncode}: {ran.stderr.strip()[-500:]}")
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def main() -> int:
    """Print a line for each operation."""
    told = measure()
    sha = told["sha_us"]
    print(f"{'operation':<46}{'us':>9}{'x SHA-256':>11}{'heap bytes':>12}")
    for name, us, heap in (
        ("SHA-256 over 64 bytes", sha, None),
        (
            "seal a 45-byte report, open the plain answer",
            told["exchange_us"],
            told["exchange_garbage"],
        ),
        ("derive a context's keys and IV", told["derive_us"], told["derive_garbage"]),
    ):
        print(f"{name:<46}{us:>9.1f}{us / sha:>11.1f}{'' if heap is None else heap:>12}")
    kept = told["modules"] + told["numbers"]
    print(f"kept: {kept} bytes for ccm, oscore and numbers, {told['context']} for a context;")
    print("above: garbage of one call. Bytes of the 64-bit VM: a chip's objects take about half")
    return 0


if __name__ == "__main__":
    sys.exit(main())
