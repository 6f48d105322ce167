"""The receipt: the fleet's word that records are committed to its database.

A map {0: version, 1: epoch, 2: [first, last, first, last, ...]}: inclusive sequence ranges,
ascending and apart. The node may forget what a range covers, and nothing else.
"""

from collections import namedtuple

from . import cbor
from .uplink import ReportError, whole

VERSION = 1
MAX_RANGES = 64

Receipt = namedtuple("Receipt", ("epoch", "ranges"))
"""epoch 1..2^32-1; ranges [(first, last), ...] of committed sequence numbers."""


def encode(epoch: int, ranges: "list[tuple[int, int]]") -> bytes:
    """The bytes of a receipt; `ranges` ascending, inclusive and apart."""
    flat = []
    for first, last in ranges:
        flat.append(first)
        flat.append(last)
    return cbor.encode({0: VERSION, 1: epoch, 2: flat})


def decode(data: bytes) -> Receipt:
    """The receipt in `data`, or ReportError. Total: any bytes give one or the other."""
    try:
        top = cbor.decode(data)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(top, dict) or set(top) != {0, 1, 2}:
        raise ReportError("a receipt is a map with keys 0, 1 and 2")
    if top[0] != VERSION or top[0] is True:
        raise ReportError("receipt version %r; this node reads version 1" % (top[0],))
    epoch = whole(top[1], 1, 0xFFFFFFFF, "epoch")
    flat = top[2]
    if not isinstance(flat, list) or len(flat) % 2 or not 2 <= len(flat) <= 2 * MAX_RANGES:
        raise ReportError("key 2 takes 1..%d first and last pairs" % MAX_RANGES)
    ranges = []
    low = 1
    for i in range(0, len(flat), 2):
        first = whole(flat[i], low, 0xFFFFFFFF, "first")
        last = whole(flat[i + 1], first, 0xFFFFFFFF, "last")
        ranges.append((first, last))
        low = last + 2
    return Receipt(epoch, ranges)
