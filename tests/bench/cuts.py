"""The power-cut campaign: `make soak-cuts`. Each scene of tests/vm/cuts.py is cut at every flash
operation in every mode on three layouts, as finely as the firmware's littlefs writes; then five
times in a row at random, until so many cuts are made.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cuts_rig

CUTS = 100_000
_BATCH = 150  # lives of five cuts in one process
_FINE = 32  # bytes that the firmware's littlefs reads and writes at once

Task = dict[str, Any]


def tasks(seed: int) -> Iterator[Task]:
    """All that is cut everywhere, in two halves each, and then chance without end."""
    for scene, layout, half in itertools.product(cuts_rig.SCENES, cuts_rig.LAYOUTS, range(2)):
        yield {"scene": scene, "layout": layout, "first": half, "step": 2, "readsize": _FINE}
    for number in itertools.count(seed):
        for scene, layout in itertools.product(cuts_rig.SCENES, cuts_rig.LAYOUTS):
            yield {
                "scene": scene, "layout": layout, "cuts": "random", "count": _BATCH,
                "seed": number,
            }  # fmt: skip


def play(world: Path, wanted: int, workers: int, seed: int) -> int:
    """Cut `wanted` times at least; the exit code."""
    began = time.monotonic()
    counts: Counter[tuple[str, str]] = Counter()
    bad: list[str] = []
    several = tasks(seed)

    def one(task: Task) -> None:
        result = cuts_rig.run(world, **task)
        counts[task["scene"], task["layout"]] += result["cuts"]
        bad.extend(f"{task}: {each}" for each in result["bad"])

    everywhere = len(cuts_rig.SCENES) * len(cuts_rig.LAYOUTS) * 2
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, itertools.islice(several, everywhere)))
        print(f"  {counts.total():,} cuts at every operation", flush=True)
        while counts.total() < wanted and not bad:
            list(pool.map(one, itertools.islice(several, workers * 4)))
            print(f"  {counts.total():,} cuts, {time.monotonic() - began:.0f} s", flush=True)
    for scene in cuts_rig.SCENES:
        each = "  ".join(f"{name} {counts[scene, name]:>7,}" for name in cuts_rig.LAYOUTS)
        print(f"{scene:>14}  {each}")
    for text in bad:
        print(f"BAD {text}")
    print(
        f"{counts.total():,} power cuts: bricks, mixed slots, records lost, updates that did not"
        f" complete: {len(bad)}"
    )
    return 1 if bad or counts.total() < wanted else 0


def main() -> int:
    """Entry of `make soak-cuts`."""
    parser = argparse.ArgumentParser(prog="make soak-cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=CUTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kapok-cuts-") as folder:
        return play(cuts_rig.build(Path(folder)), given.cuts, given.workers, given.seed)


if __name__ == "__main__":
    sys.exit(main())
