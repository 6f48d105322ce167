"""Random byte streams into every modem family's parser, a million each: `--help` has an example.

What is raised and is none of the node's errors, and what hangs, is told with the block that shows
it again; then the exit code is 1.
"""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
for _folder in ("firmware", "tests/cpython", "."):
    sys.path.insert(0, str(ROOT / _folder))

import at_fuzz  # noqa: E402
import vectors  # noqa: E402

BLOCKS_AT_ONCE = 20  # of one task of the pool
HANG_S = 30  # real seconds for one block of 100 cases, which takes 10 ms
EXAMPLE = """example:
  python -m tests.bench.fuzz_at --cases 20000 --jobs 2
  python -m tests.bench.fuzz_at --family bc95 --seed 1 --block 1234    one block again
"""
Found = list[tuple[str, int, str]]


class Hang(BaseException):
    """A block took far longer than it should: no handler of Exception may hide it."""


def _alarm(_: int, frame: FrameType | None) -> None:
    raise Hang(f"after {HANG_S} s at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "")


def blocks(family: str, seed: int, first: int, count: int) -> tuple[int, Found]:
    """Streams drawn, and (family, block, traceback) of what was found, in `count` blocks."""
    signal.signal(signal.SIGALRM, _alarm)
    drawn = 0
    found: Found = []
    for block in range(first, first + count):
        signal.setitimer(signal.ITIMER_REAL, HANG_S)
        try:
            drawn += at_fuzz.run_block(family, seed, block)
        except (Exception, Hang):
            found.append((family, block, traceback.format_exc()))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return drawn, found


def work(families: list[str], seed: int, cases: int) -> Iterator[tuple[str, int, int, int]]:
    """The tasks of a run, the families in turn."""
    total = -(-cases // at_fuzz.BLOCK)
    for first in range(0, total, BLOCKS_AT_ONCE):
        for family in families:
            yield family, seed, first, min(BLOCKS_AT_ONCE, total - first)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=int, default=1_000_000, help="for each family")
    parser.add_argument("--family", choices=vectors.FAMILIES, help="only this one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--block", type=int, help="run this block only, in this process")
    args = parser.parse_args()
    families = [args.family] if args.family else list(vectors.FAMILIES)
    if args.block is not None:
        results = [blocks(family, args.seed, args.block, 1)[1] for family in families]
        return _report([entry for found in results for entry in found], args.seed)
    tasks = list(work(families, args.seed, args.cases))
    print(f"{args.cases} cases for each of {', '.join(families)}; seed {args.seed}", flush=True)
    begun = shown = time.monotonic()
    drawn, found = 0, []
    with ProcessPoolExecutor(args.jobs) as pool:
        for done, (streams, new) in enumerate(pool.map(blocks, *zip(*tasks, strict=True)), 1):
            drawn += streams
            found += new
            if time.monotonic() - shown > 10 or done == len(tasks):
                shown = time.monotonic()
                print(
                    f"{100 * done // len(tasks):3} %  {drawn:,} streams, {len(found)} blocks "
                    f"with findings, {shown - begun:.0f} s",
                    flush=True,
                )
    return _report(found, args.seed)


def _report(found: Found, seed: int) -> int:
    for family, block, text in found[:10]:
        print(f"\n{family}, block {block}:\n{text}")
        print(
            f"again: python -m tests.bench.fuzz_at --family {family} --seed {seed} --block {block}"
        )
    print(f"{len(found)} blocks with findings" if found else "nothing but our own errors, no hang")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
