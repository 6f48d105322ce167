"""A million mutated bundles for the node's verifier: none is taken. `make soak-bundles`."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from mutants import Campaign
from release_rig import keys

_PART = 5_000


def _run(seed: int) -> tuple[Counter[str], int]:
    campaign = Campaign(seed)
    return campaign.counts, len(campaign.run(_PART))


def main() -> int:
    """Exit code 1 where one was taken that nobody signed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    keys()  # before the fork: all have the same
    began = time.monotonic()
    counts: Counter[str] = Counter()
    taken = 0
    seeds = range(chosen.seed, chosen.seed + -(-chosen.count // _PART))
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        for found, bad in pool.imap_unordered(_run, seeds):
            counts += found
            taken += bad
    for kind, count in counts.most_common():
        print(f"{count:>9} {kind}")
    seconds = time.monotonic() - began
    print(f"mutants {counts.total()} taken {taken} seconds {seconds:.0f}")
    return 1 if taken else 0


if __name__ == "__main__":
    sys.exit(main())
