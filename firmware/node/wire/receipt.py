"""The receipt: the fleet's word that records are committed, and what it has for the node.

A map {0: version, 1: epoch, 2: [first, last, ...], 3: [[number, kind, payload], ...], 4: waiting,
5: time}. 1 and 2, inclusive sequence ranges, ascending and apart, stand together: the node may
forget what a range covers, and nothing else. 3 to 5 stand only where there is something.
"""

from collections import namedtuple

from . import cbor
from .uplink import ReportError, whole

VERSION = 1
MAX_RANGES = 64
MAX_ITEMS = 8
MAX_PAYLOAD = 512  # bytes of an item that comes with the receipt; of a longer one comes the size
MAX_FETCH = 65535

CONFIG, KEY, COMMAND, UPDATE, CERTIFICATE = 1, 2, 3, 4, 5  # kinds of items

Receipt = namedtuple("Receipt", ("epoch", "ranges", "items", "waiting", "time"))
"""epoch 1..2^32-1 and ranges [(first, last), ...], or 0 and [] for a poll; items [[number, kind,
payload bytes or its size], ...]; waiting: how many more there are; time: the
fleet's, in s since 1970 UTC, for a node that is not sure of its own, else 0."""


def encode(
    epoch: int,
    ranges: "list[tuple[int, int]]",
    items: "list[tuple[int, int, bytes | int]] | tuple[()]" = (),
    waiting: int = 0,
    time: int = 0,
) -> bytes:
    """The bytes of a receipt; `ranges` ascending, inclusive and apart, none for a poll."""
    top: "dict[int, object]" = {0: VERSION}
    if ranges:
        top[1] = epoch
        flat = []
        for first, last in ranges:
            flat.append(first)
            flat.append(last)
        top[2] = flat
    if items:
        top[3] = [list(item) for item in items]
    if waiting:
        top[4] = waiting
    if time:
        top[5] = time
    return cbor.encode(top)


def decode(data: bytes) -> Receipt:
    """The receipt in `data`, or ReportError. Total: any bytes give one or the other."""
    try:
        top = cbor.decode(data)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(top, dict) or not {0} <= set(top) <= {0, 1, 2, 3, 4, 5}:
        raise ReportError("a receipt is a map with key 0 and keys 1 to 5")
    if top[0] != VERSION or top[0] is True:
        raise ReportError("receipt version %r; this node reads version 1" % (top[0],))
    epoch = 0
    ranges = []
    if 1 in top or 2 in top:
        epoch = whole(top.get(1), 1, 0xFFFFFFFF, "epoch")
        ranges = _ranges(top.get(2))
    waiting = whole(top[4], 1, 0xFFFF, "waiting") if 4 in top else 0
    time = whole(top[5], 1, 0xFFFFFFFF, "time") if 5 in top else 0
    return Receipt(epoch, ranges, _items(top[3]) if 3 in top else [], waiting, time)


def covers(answer: bytes, sent: bytes) -> bool:
    """Whether `answer` is a receipt for at least one record of those that `sent` covers; where
    `sent` covers none, whether it is one without ranges.

    Total in `answer`, which comes from outside; `sent` is the receipt that would cover all. One
    that covers nothing (a poll) is answered by any that covers nothing.
    """
    try:
        got = decode(answer)
    except ReportError:
        return False
    wanted = decode(sent)
    if got.epoch != wanted.epoch or not wanted.ranges:
        return bool(got.epoch == wanted.epoch)
    for first, last in got.ranges:
        for low, high in wanted.ranges:
            if first <= high and low <= last:
                return True
    return not wanted.ranges


def _ranges(flat: object) -> "list[tuple[int, int]]":
    if not isinstance(flat, list) or len(flat) % 2 or not 2 <= len(flat) <= 2 * MAX_RANGES:
        raise ReportError("key 2 takes 1..%d first and last pairs" % MAX_RANGES)
    ranges = []
    low = 1
    for i in range(0, len(flat), 2):
        first = whole(flat[i], low, 0xFFFFFFFF, "first")
        last = whole(flat[i + 1], first, 0xFFFFFFFF, "last")
        ranges.append((first, last))
        low = last + 2
    return ranges


def _items(items: object) -> "list[list[int | bytes]]":
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise ReportError("key 3 takes 1..%d items" % MAX_ITEMS)
    last = 0
    for item in items:
        if not isinstance(item, list) or len(item) != 3:
            raise ReportError("an item is [number, kind, payload]")
        last = whole(item[0], last + 1, 0x7FFFFFFF, "item number")
        whole(item[1], 1, 255, "item kind")
        if not isinstance(item[2], bytes):
            whole(item[2], 1, MAX_FETCH, "item size")
        elif len(item[2]) > MAX_PAYLOAD:
            raise ReportError("an item of over %d bytes" % MAX_PAYLOAD)
    return items
