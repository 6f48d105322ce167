"""A command of the fleet: what an item of kind COMMAND carries, and the node's words about it.

The payload is the array [code, arguments, identifier, expiry, mac]. `mac` is the first 16 bytes
of HMAC-SHA-256 by the node's own key over `signed`, which binds it to this node, to the direction,
to the item's number (the counter: a node acts on none that is not above the last) and to the end.
"""

from . import cbor
from .uplink import ReportError, whole

VALVE_CLOSE, VALVE_ARM, READ_NOW, SET_TIME, REBOOT, RELAY = 1, 2, 3, 4, 5, 6
DIM, IDENTIFY, LOG_LEVEL, DIAGNOSE, RESEND, LOG_PULL = 7, 8, 9, 10, 11, 12
SCAN, PASS = 13, 14
# Arguments, all integers: VALVE_ARM [seconds]; SET_TIME [seconds since 1970]; RELAY [0 or 1,
# seconds]; DIM [permille, seconds]; IDENTIFY [seconds]; LOG_LEVEL [level]; RESEND [since, until]
# in s since 1970; SCAN [protocol, baud] and in Modbus [first, last] address; PASS [seconds, baud,
# parity]; the others none.

MAC = 16  # bytes
MAX_ARGUMENTS = 4
LONGEST_S = 600  # an expiry lies no further ahead than this

# Results of items: quantity 901. 20 to 26 are those of a configuration's key (schema).
DONE, EXPIRED, FORGED, REPLAYED, NO_SUCH, BAD_ARGUMENTS, NO_CLOCK = 0, 1, 2, 3, 4, 5, 6
NOT_MINE, NOT_ARMED, FAILED, DANGER, UNPOWERED, REVERTED = 7, 8, 9, 10, 11, 12


def signed(
    node_id: str, number: int, code: int, arguments: "list[int]", identifier: int, expiry: int
) -> bytes:
    """The bytes that `mac` is over; `expiry` in s since 1970 UTC."""
    return b"kapok command\0down\0" + cbor.encode(
        [node_id, number, code, arguments, identifier, expiry]
    )


def encode(code: int, arguments: "list[int]", identifier: int, expiry: int, mac: bytes) -> bytes:
    """The payload of an item."""
    return cbor.encode([code, arguments, identifier, expiry, mac])


def decode(payload: bytes) -> "tuple[int, list[int], int, int, bytes]":
    """code, arguments, identifier, expiry, mac; ReportError for anything else. Total."""
    try:
        flat = cbor.decode(payload)
    except cbor.CborError as e:
        raise ReportError("not strict CBOR: %s" % e)
    if not isinstance(flat, list) or len(flat) != 5:
        raise ReportError("a command is [code, arguments, identifier, expiry, mac]")
    code, arguments, identifier, expiry, mac = flat
    if not isinstance(arguments, list) or len(arguments) > MAX_ARGUMENTS:
        raise ReportError("a command has up to 4 arguments")
    for argument in arguments:
        whole(argument, -0x80000000, 0xFFFFFFFF, "argument")
    if not isinstance(mac, bytes) or len(mac) != MAC:
        raise ReportError("a mac has 16 bytes")
    whole(code, 1, 255, "code")
    whole(identifier, 1, 0x3FFFFFFF, "identifier")
    whole(expiry, 0, 0xFFFFFFFF, "expiry")
    return code, arguments, identifier, expiry, mac
