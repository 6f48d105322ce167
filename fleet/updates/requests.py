"""Requests for blocks by MQTT, and their answers: strict CBOR, total and bounded.

A request on `k1/<node>/up/block` is [number, block size, first index, bitmap]: the most
significant bit of the bitmap is the block `first index`. An answer on `k1/<node>/down/block` is
[number, index, data], or instead of the data GONE, UNKNOWN or LATER (wire/release.py).
"""

from typing import NamedTuple

from fleet.errors import Refusal
from fleet.wire import cbor

SIZES = (64, 3072)  # bytes of a block: an answer and its topic fit into a packet of 4,096
BITMAP = 16  # bytes: 128 blocks
MOST = 64  # blocks of one answer; the node asks again for the rest
MOST_BYTES = 65_536
_INDEX = 1 << 24


class RequestError(Refusal, ValueError):
    """It is no request."""


class Request(NamedTuple):
    """What blocks a node wants: `indices`, ascending."""

    number: int
    size: int
    indices: list[int]


def decode(payload: bytes) -> Request:
    """The request in a payload, cut to what is answered at once; RequestError."""
    if len(payload) > 64:
        raise RequestError("a request of over 64 bytes")
    try:
        flat = cbor.decode(payload)
    except cbor.CborError as e:
        raise RequestError(str(e)) from None
    if not isinstance(flat, list) or len(flat) != 4:
        raise RequestError("a request is [number, block size, first index, bitmap]")
    number, size, first, bitmap = flat
    if type(number) is not int or not 0 < number < 1 << 31:
        raise RequestError("no number of an item")
    if type(size) is not int or not SIZES[0] <= size <= SIZES[1]:
        raise RequestError("a block has 64 to 3072 bytes")
    if type(first) is not int or not 0 <= first < _INDEX:
        raise RequestError("no index of a block")
    if not isinstance(bitmap, bytes) or not 0 < len(bitmap) <= BITMAP:
        raise RequestError("a bitmap has 1 to 16 bytes")
    wanted = [
        first + place
        for place in range(8 * len(bitmap))
        if bitmap[place // 8] & 0x80 >> place % 8 and first + place < _INDEX
    ]
    return Request(number, size, wanted[: min(MOST, MOST_BYTES // size)])


def encode(number: int, index: int, answer: bytes | int) -> bytes:
    """An answer: `answer` is the block, or why there is none."""
    return cbor.encode([number, index, answer])
