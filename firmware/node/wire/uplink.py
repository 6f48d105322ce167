"""What a node writes: the bodies that its journal keeps, and the numbers of a report's status.

A report's encoder is in compact.py, its decoder in report.py: neither stays in a node's heap.
"""

from . import cbor

VERSION = 2

GOOD, ESTIMATED, SUSPECT = 0, 1, 2

# Keys of `status`, all optional: how the node fares, in integers.
DEPTH, DROPPED, RESET_CAUSE, WAKES, FAILED_WAKES, CORRUPT = 0, 1, 2, 3, 4, 5
# Of the newest failed contact. Behind it 7, its cause, and 8 to 12: how often each rung of the
# modem's ladder was used.
ERROR = 6
# What became of the fleet's items (receipt.py): the configuration that is in force, the highest
# item that was handled, and the newest one that was refused. Each an item's number.
APPLIED, HANDLED, REFUSED = 13, 14, 15
# 1: the node is not sure what time it is, and asks the fleet.
ASKS_TIME = 16
# The release that runs, by its sequence and by the first four bytes of its image's digest; the
# runtime, 65536 * major + 256 * minor + micro; of the update under way its stage (release.py) and
# how many bytes of its stream are there.
RELEASE, IMAGE, RUNTIME, STAGE, MARK = 17, 18, 19, 20, 21


class ReportError(ValueError):
    """The bytes are no report; the text says what and where."""


def encode_body(time: int, quality: int, values: "list[tuple[int, int]]") -> bytes:
    """The bytes that the journal keeps for one record. `time` in s since 1970 UTC."""
    flat = [time, quality]
    for quantity, value in values:
        flat.append(quantity)
        flat.append(value)
    return cbor.encode(flat)


def body_time(body: bytes) -> int:
    """The time of a journal body, in s since 1970 UTC; ReportError if it is none."""
    try:
        flat = cbor.decode(body)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(flat, list) or not flat:
        raise ReportError("a body is an array that begins with its time")
    return whole(flat[0], 0, 0xFFFFFFFF, "time")


def whole(value: object, low: int, high: int, what: str) -> int:
    """`value` if it is an int in low..high (a bool is none), else ReportError naming `what`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ReportError("%s is not an integer in %d..%d" % (what, low, high))
    return value
