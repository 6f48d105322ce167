"""The report: one uplink message that carries records of the journal.

A map {0: version, 1: epoch, 2: sent, 3: [sequence, body, sequence, body, ...], 4: status}.
A body is an array [time, quality, quantity, value, quantity, value, ...]: exactly the bytes that
the journal keeps, so that the node copies a record and never encodes it twice.
"""

from collections import namedtuple

from . import cbor
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
    encode,
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

Record = namedtuple("Record", ("sequence", "time", "quality", "values"))
"""sequence 1..2^32-1; time in s since 1970 UTC; quality; values ((quantity, value), ...)."""

Report = namedtuple("Report", ("epoch", "sent", "records", "status"))
"""epoch 1..2^32-1; sent in s since 1970 by the node's clock; [Record, ...]; {key: int}."""


def decode(data: bytes) -> Report:
    """The report in `data`, or ReportError. Total: any bytes give one or the other."""
    if len(data) > MAX_BYTES:
        raise ReportError("report over %d bytes" % MAX_BYTES)
    try:
        top = cbor.decode(data)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(top, dict) or not {0, 1, 2, 3} <= set(top) <= {0, 1, 2, 3, 4}:
        raise ReportError("a report is a map with keys 0, 1, 2, 3 and perhaps 4")
    if top[0] != VERSION or top[0] is True:
        raise ReportError("report version %r; this fleet reads version 1" % (top[0],))
    epoch = whole(top[1], 1, 0xFFFFFFFF, "epoch")
    sent = whole(top[2], 0, 0xFFFFFFFF, "sent")
    flat = top[3]
    if not isinstance(flat, list) or len(flat) % 2 or len(flat) > 2 * MAX_RECORDS:
        raise ReportError("key 3 takes up to %d sequence and body pairs" % MAX_RECORDS)
    records = []
    last = 0
    for i in range(0, len(flat), 2):
        sequence = whole(flat[i], last + 1, 0xFFFFFFFF, "sequence after %d" % last)
        records.append(_record(sequence, flat[i + 1]))
        last = sequence
    return Report(epoch, sent, records, _status(top.get(4, {})))


def _record(sequence: int, body: object) -> Record:
    if not isinstance(body, list) or len(body) % 2 or not 4 <= len(body) <= 2 + 2 * MAX_VALUES:
        raise ReportError("record %d: body takes time, quality and 1..16 values" % sequence)
    where = "record %d: " % sequence
    time = whole(body[0], 0, 0xFFFFFFFF, where + "time")
    quality = whole(body[1], GOOD, SUSPECT, where + "quality")
    values: "list[tuple[int, int]]" = []
    for i in range(2, len(body), 2):
        quantity = whole(body[i], 1, 65535, where + "quantity")
        if quantity in [q for q, _ in values]:
            raise ReportError(where + "quantity %d twice" % quantity)
        values.append((quantity, whole(body[i + 1], -(1 << 63), (1 << 63) - 1, where + "value")))
    return Record(sequence, time, quality, tuple(values))


def _status(value: object) -> "dict[int, int]":
    if not isinstance(value, dict) or len(value) > 32:
        raise ReportError("status is not a map of up to 32 integers")
    for key, item in value.items():
        whole(key, 0, 65535, "status key")
        whole(item, -(1 << 63), (1 << 63) - 1, "status value")
    return value
