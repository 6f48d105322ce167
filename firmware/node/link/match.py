"""Whether a receipt answers a report. It walks the report, which decoded would fill the heap."""

from node.wire import receipt
from node.wire.uplink import ReportError


def answers(answer: bytes, report: bytes) -> bool:
    """Whether `answer` is a receipt for at least one record of our own `report`.

    Total in `answer`, which comes from outside; `report` is what node.wire.uplink.encode gave.
    """
    try:
        got = receipt.decode(answer)
    except ReportError:
        return False
    at = _skip(report, 1, 3)  # the head of the map, the version, the key of the epoch
    _, epoch, at = _head(report, at)
    if epoch != got.epoch:
        return False
    at = _skip(report, at, 3)  # the time, between its key and the key of the records
    _, count, at = _head(report, at)
    for _ in range(count // 2):
        _, sequence, at = _head(report, at)
        for first, last in got.ranges:
            if first <= sequence <= last:
                return True
        at = _skip(report, at, 1)
    return False


def _head(data: bytes, at: int) -> "tuple[int, int, int]":
    # Major type, argument, and where the head ends (RFC 8949, 3).
    info = data[at] & 31
    if info < 24:
        return data[at] >> 5, info, at + 1
    end = at + 1 + (1 << info - 24)
    return data[at] >> 5, int.from_bytes(data[at + 1 : end], "big"), end


def _skip(data: bytes, at: int, items: int) -> int:
    # Where `items` items end. A report holds no text and no byte strings.
    while items:
        major, n, at = _head(data, at)
        items += (n if major == 4 else 2 * n if major == 5 else 0) - 1
    return at
