"""In which order a rollout takes its nodes: by a hash of node and release, so that other nodes go
first each time, and spread so that every stretch of it has each area's nodes in proportion.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_BITS = 32


def bucket(node_id: str, sequence: int) -> int:
    """Where a node stands for a release: 64 bits, the same whenever it is asked."""
    key = sequence.to_bytes(8, "big")
    return int.from_bytes(
        hashlib.blake2b(node_id.encode(), digest_size=8, key=key).digest(), "big"
    )


def arrange(node_ids: Sequence[str], cells: Sequence[str], sequence: int) -> list[int]:
    """Places in `node_ids` in the order in which they go.

    The i-th by hash of an area's n nodes stands at (i + h) / n of the way, where h is the area's
    own hash: no area comes in a bunch, and no two begin together.
    """
    hashes = array("Q", (bucket(node_id, sequence) for node_id in node_ids))
    sizes = Counter(cells)
    offsets = {cell: bucket(cell, sequence) >> (64 - _BITS) for cell in sizes}
    seen = dict.fromkeys(sizes, 0)
    keys = array("Q", bytes(8 * len(node_ids)))
    for place in sorted(range(len(node_ids)), key=hashes.__getitem__):
        cell = cells[place]
        way = ((seen[cell] << _BITS) + offsets[cell]) // sizes[cell]
        keys[place] = (way << _BITS) | (hashes[place] >> (64 - _BITS))
        seen[cell] += 1
    return sorted(range(len(node_ids)), key=keys.__getitem__)


def sizes(total: int, canary: int, stages: Sequence[int]) -> list[int]:
    """How many nodes each group has: the canary, then percentages of the rest."""
    first = min(canary, total)
    rest = total - first
    ends, passed = [0], 0
    for each in stages:
        passed += each
        ends.append(rest * passed // 100)
    return [first, *(end - begin for begin, end in pairwise(ends))]
