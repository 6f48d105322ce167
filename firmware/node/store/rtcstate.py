"""What the node remembers between two wakes, in the RTC memory that deep sleep keeps.

A frame of magic, version, length, CRC-32 and a CBOR map: memory that was never written, or that a
brown-out left half written, is told from state.
"""

import binascii
import struct

from micropython import const

from node.modules import named
from node.wire import cbor

COLD = const(0)  # nothing there: power was lost
WARM = const(1)  # the state of the last `save`
CORRUPT = const(2)  # something is there that is no state of ours

LIMIT = const(2048)  # bytes: MICROPY_HW_RTC_USER_MEM_MAX
_FORMAT = "<2sBHI"
_MAGIC = b"KR"
_VERSION = const(1)
_HEAD = const(9)


class RtcState:
    """`memory()` gives the bytes that were kept, `memory(data)` keeps others: `RTC().memory`."""

    def __init__(self, memory) -> None:
        self._memory = memory
        self._values: dict = {}

    def load(self) -> int:
        """COLD, WARM or CORRUPT, whatever the bytes. All but WARM leave the state empty."""
        raw = bytes(self._memory())
        self._values = {}
        if not any(raw):
            return COLD
        if len(raw) < _HEAD:
            return CORRUPT
        magic, version, length, crc = struct.unpack_from(_FORMAT, raw)
        body = raw[_HEAD:]
        if magic != _MAGIC or version != _VERSION or length != len(body):
            return CORRUPT
        if crc != binascii.crc32(body):
            return CORRUPT
        try:
            values = cbor.decode(body)
        except cbor.CborError:
            return CORRUPT
        if not isinstance(values, dict):
            return CORRUPT
        self._values = named(values)
        return WARM

    def get(self, key: "int | str", default=None):
        """The value under `key`, or `default`."""
        return self._values.get(key, default)

    def set(self, key: "int | str", value: object) -> None:
        """Put a value of the strict CBOR subset under `key`; kept by the next `save`."""
        self._values[key] = value

    def save(self) -> None:
        """Keep the state. ValueError when it is over 2,039 bytes or outside the subset."""
        body = cbor.encode(self._values)
        if len(body) > LIMIT - _HEAD:
            raise ValueError("state of %d bytes in RTC memory of %d" % (len(body), LIMIT - _HEAD))
        head = struct.pack(_FORMAT, _MAGIC, _VERSION, len(body), binascii.crc32(body))
        self._memory(head + body)
