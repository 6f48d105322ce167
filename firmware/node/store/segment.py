"""One record of the journal as bytes, and the records that the bytes of a segment file still hold.

A record is its body's length (1 byte), its sequence (4, little endian), the body, and the CRC-32
of all that (4). The CRC starts from a seed that names the journal's epoch and the priority.
"""

import binascii
import struct

from micropython import const

MAX_BODY = const(200)
FRAME = const(9)  # bytes that a record takes besides its body
CRC = const(4)
_HEAD = const(5)


def seed(epoch: int, priority: int) -> int:
    """Where the CRC of this epoch's and priority's records starts: others are no records here."""
    return epoch ^ priority


def frame(sequence: int, body: bytes, start: int) -> bytes:
    """The bytes of one record; `start` is `seed(...)`."""
    head = struct.pack("<BI", len(body), sequence) + body
    return head + struct.pack("<I", checksum(head, start))


def checksum(data: "bytes | memoryview", start: int) -> int:
    """CRC-32 (ISO-HDLC) of `data`, from `start`."""
    return binascii.crc32(data, start)


def scan(data: bytes, low: int, start: int):
    """Yield (sequence, begin, end) of each body in `data`, in ascending sequence from `low`.

    Each damaged stretch yields (0, 0, 0) once; the records behind it are found again.
    """
    view = memoryview(data)
    at = 0
    sound = True
    while at < len(data):
        end = at + FRAME + data[at]
        if FRAME < end - at <= FRAME + MAX_BODY and end <= len(data):
            sequence = struct.unpack_from("<I", data, at + 1)[0]
            crc = struct.unpack_from("<I", data, end - CRC)[0]
            if sequence >= low and crc == checksum(view[at : end - CRC], start):
                yield sequence, at + _HEAD, end - CRC
                low = sequence + 1
                at = end
                sound = True
                continue
        if sound:
            yield 0, 0, 0
            sound = False
        at += 1
