"""A million damaged frames for each codec of legacy protocols: `--help` has an example.

What is raised and is no refusal, and a frame that takes longer than 50 ms of its thread's time, is
told with the block that shows it again; then the exit code is 1.
"""

import argparse
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
for _folder in ("tests/cpython", "."):
    sys.path.insert(0, str(ROOT / _folder))

import legacy_fuzz  # noqa: E402

from fleet.legacy.protocols.catalogue import NAMES  # noqa: E402

BLOCKS_AT_ONCE = 50  # of one task of the pool
EXAMPLE = """example:
  python -m tests.bench.legacy_fuzz --cases 20000 --jobs 2
  python -m tests.bench.legacy_fuzz --protocol sl651 --seed 1 --block 1234    one block again
"""
Found = list[tuple[str, int, str]]


def blocks(protocol: str, seed: int, first: int, count: int) -> tuple[str, int, float, Found]:
    """(protocol, good frames, seconds of the slowest, what was found) in `count` blocks."""
    good, slowest = 0, 0.0
    found: Found = []
    for block in range(first, first + count):
        try:
            more, took = legacy_fuzz.run_block(protocol, seed, block)
        except Exception:
            found.append((protocol, block, traceback.format_exc()))
            continue
        good, slowest = good + more, max(slowest, took)
    return protocol, good, slowest, found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=int, default=1_000_000, help="for each protocol")
    parser.add_argument("--protocol", choices=NAMES, help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--block", type=int, help="run this block only, in this process")
    args = parser.parse_args()
    names = [args.protocol] if args.protocol else list(NAMES)
    if args.block is not None:
        results = [blocks(name, args.seed, args.block, 1)[3] for name in names]
        return _report([entry for found in results for entry in found], args.seed)
    total = -(-args.cases // legacy_fuzz.BLOCK)
    tasks = [
        (name, args.seed, first, min(BLOCKS_AT_ONCE, total - first))
        for first in range(0, total, BLOCKS_AT_ONCE)
        for name in names
    ]
    print(f"{args.cases:,} frames for each of {', '.join(names)}; seed {args.seed}", flush=True)
    begun = shown = time.monotonic()
    good = dict.fromkeys(names, 0)
    slowest = dict.fromkeys(names, 0.0)
    found: Found = []
    with ProcessPoolExecutor(args.jobs) as pool:
        results_ = pool.map(blocks, *zip(*tasks, strict=True))
        for done, (name, more, took, new) in enumerate(results_, 1):
            good[name] += more
            slowest[name] = max(slowest[name], took)
            found += new
            if time.monotonic() - shown > 10 or done == len(tasks):
                shown = time.monotonic()
                print(f"{100 * done // len(tasks):3} %  {shown - begun:.0f} s", flush=True)
    for name in names:
        print(f"{name}: {good[name]:,} good, slowest {1000 * slowest[name]:.1f} ms")
    return _report(found, args.seed)


def _report(found: Found, seed: int) -> int:
    for protocol, block, text in found[:10]:
        again = f"--protocol {protocol} --seed {seed} --block {block}"
        print(f"\n{protocol}, block {block}:\n{text}")
        print(f"again: python -m tests.bench.legacy_fuzz {again}")
    print(f"{len(found)} blocks with findings" if found else "nothing but frames and refusals")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
