"""The report: one uplink message that carries records of the journal, and its decoder.

A byte, the version 2; then bits, the most significant first, the last byte filled up with zeros:
columns of differences as exponential Golomb numbers. docs/protocol.md has the fields.
"""

from collections import namedtuple

from .compact import encode
from .uplink import (
    CORRUPT,
    DEPTH,
    DROPPED,
    ESTIMATED,
    FAILED_WAKES,
    GOOD,
    RESET_CAUSE,
    SUSPECT,
    VERSION,
    WAKES,
    ReportError,
    body_time,
    encode_body,
    whole,
)

__all__ = (
    "CORRUPT",
    "DEPTH",
    "DROPPED",
    "ESTIMATED",
    "FAILED_WAKES",
    "GOOD",
    "MAX_BYTES",
    "MAX_RECORDS",
    "MAX_VALUES",
    "RESET_CAUSE",
    "SUSPECT",
    "VERSION",
    "WAKES",
    "Record",
    "Report",
    "ReportError",
    "body_time",
    "decode",
    "encode",
    "encode_body",
    "whole",
)

MAX_BYTES = 8192
MAX_RECORDS = 256
MAX_VALUES = 16
MAX_STATUS = 32
MAX_ZEROS = 66  # of a number: differences of 64-bit values take 65 bits, and a sign

Record = namedtuple("Record", ("sequence", "time", "quality", "values"))
"""sequence 1..2^32-1; time in s since 1970 UTC; quality; values ((quantity, value), ...)."""

Report = namedtuple("Report", ("epoch", "sent", "records", "status"))
"""epoch 1..2^32-1; sent in s since 1970 by the node's clock; [Record, ...]; {key: int}."""


def decode(data: bytes) -> Report:
    """The report in `data`, or ReportError. Total: any bytes give one or the other."""
    if len(data) > MAX_BYTES:
        raise ReportError("report over %d bytes" % MAX_BYTES)
    if not data or data[0] != VERSION:
        raise ReportError("a report begins with its version, %d" % VERSION)
    bits = _Bits(data)
    epoch = whole(bits.take(32), 1, 0xFFFFFFFF, "epoch")
    sent = bits.take(32)
    count = whole(bits.number(0), 0, MAX_RECORDS, "number of records")
    records = _records(bits, sent, count) if count else []
    status: "dict[int, int]" = {}
    key = -1
    for _ in range(whole(bits.number(0), 0, MAX_STATUS, "number of status keys")):
        key = whole(key + 1 + bits.number(0), 0, 65535, "status key")
        value = whole(bits.number(2), 0, (1 << 64) - 1, "status value")
        status[key] = value - (1 << 64) if value >> 63 else value
    bits.end()
    return Report(epoch, sent, records, status)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 8  # in bits: behind the version

    def take(self, width: int) -> int:
        end = self._at + width
        if end > 8 * len(self._data):
            raise ReportError("report ends at bit %d" % self._at)
        last = (end + 7) // 8
        n = int.from_bytes(self._data[self._at // 8 : last], "big") >> 8 * last - end
        self._at = end
        return n & (1 << width) - 1

    def number(self, order: int) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > MAX_ZEROS:
                raise ReportError("a number of over 66 bits before bit %d" % self._at)
        return ((1 << zeros | self.take(zeros)) - 1 << order) + self.take(order)

    def signed(self, order: int) -> int:
        n = self.number(order)
        return -(n + 1 >> 1) if n & 1 else n >> 1

    def end(self) -> None:
        left = 8 * len(self._data) - self._at
        if left >= 8 or self.take(left):
            raise ReportError("report goes on behind its end")


def _column(bits: _Bits, count: int, least: int, order: int) -> "list[int]":
    # What each of `count` records has more than the one before; 0 for the first.
    steps = [0]
    if count == 1:
        return steps
    if not bits.take(1):
        step = bits.number(order) if least else bits.signed(order)
        return steps + [step + least] * (count - 1)
    growing = not bits.take(1)
    order = bits.take(5)
    for _ in range(count - 1):
        steps.append((bits.number(order) if growing else bits.signed(order)) + least)
    return steps


def _sums(first: int, steps: "list[int]", low: int, high: int, what: str) -> "list[int]":
    values = []
    for step in steps:
        first += step
        values.append(whole(first, low, high, what))
    return values


def _records(bits: _Bits, sent: int, count: int) -> "list[Record]":
    first = bits.number(10) + 1
    sequences = _sums(first, _column(bits, count, 1, 0), 1, 0xFFFFFFFF, "sequence")
    last = sent - bits.signed(6)
    steps = _column(bits, count, 0, 8)
    times = _sums(last - sum(steps), steps, 0, 0xFFFFFFFF, "time")
    first = bits.take(2)
    qualities = _sums(first, _column(bits, count, 0, 0), GOOD, SUSPECT, "quality")
    values: "list[list[tuple[int, int]]]" = []
    while len(values) < count:
        left = count - len(values)
        size = left if bits.take(1) else whole(bits.number(0) + 1, 1, left, "length of a run")
        values.extend(_run(bits, size))
    return [Record(*record) for record in zip(sequences, times, qualities, map(tuple, values))]


def _run(bits: _Bits, size: int) -> "list[list[tuple[int, int]]]":
    rows: "list[list[tuple[int, int]]]" = [[] for _ in range(size)]
    known: "set[int]" = set()
    for _ in range(whole(bits.number(0) + 1, 1, MAX_VALUES, "number of quantities")):
        quantity = whole(bits.number(3) + 1, 1, 65535, "quantity")
        if quantity in known:
            raise ReportError("quantity %d twice" % quantity)
        known.add(quantity)
        unit = 10 ** whole(bits.number(0), 0, 18, "zeros of a value")
        most = ((1 << 63) - 1) // unit
        first = bits.signed(16)
        column = _sums(first, _column(bits, size, 0, 8), -most - 1, most, "value")
        for row, n in zip(rows, column):
            row.append((quantity, whole(n * unit, -(1 << 63), (1 << 63) - 1, "value")))
    return rows
