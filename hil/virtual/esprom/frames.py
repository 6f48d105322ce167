"""Requests and answers of the loader's protocol, each one SLIP frame."""

import struct
from functools import reduce
from operator import xor
from typing import NamedTuple

FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
SYNC, WRITE_REG, READ_REG = 0x08, 0x09, 0x0A
SPI_SET_PARAMS, SPI_ATTACH, READ_FLASH_SLOW, CHANGE_BAUDRATE = 0x0B, 0x0D, 0x0E, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END, FLASH_MD5, SECURITY_INFO = 0x10, 0x11, 0x12, 0x13, 0x14
ERASE_FLASH, ERASE_REGION, READ_FLASH, RUN_USER_CODE, ENCRYPT_DATA = 0xD0, 0xD1, 0xD2, 0xD3, 0xD4

SYNC_BODY = b"\x07\x07\x12\x20" + 32 * b"\x55"
SYNC_FRAME = b"\xc0\x00\x08\x24\x00\x00\x00\x00\x00" + SYNC_BODY + b"\xc0"
SYNC_VALUE = 0x20120707  # of the ROM; the stub has 0


class Refused(Exception):
    """A command fails: `rom` is the ROM's code, `stub` the stub's for the same."""

    def __init__(self, rom: int, stub: int) -> None:
        super().__init__(f"{rom:#x}")
        self.rom = rom
        self.stub = stub


class Request(NamedTuple):
    """One command. `body` is what stands behind the eight bytes of the head."""

    op: int
    checksum: int
    body: bytes

    def words(self, count: int) -> tuple[int, ...]:
        """The first little-endian words of the body; Refused where they are not there."""
        if len(self.body) < 4 * count:
            raise bad_length()
        return struct.unpack_from(f"<{count}I", self.body)

    def payload(self) -> bytes:
        """A data command's bytes, their length and checksum right; else Refused."""
        (length,) = self.words(1)
        data = self.body[16:]
        if len(self.body) < 16 or len(data) != length:
            raise bad_length()
        # The ROM compares one byte, and so do we: what stands above it does not count.
        if reduce(xor, data, 0xEF) != self.checksum & 0xFF:
            raise Refused(0x07, 0xC1)
        return data


def parse(frame: bytes) -> Request | None:
    """A request, or None where the frame is none: too short, an answer, another length."""
    if len(frame) < 8 or frame[0] != 0:
        return None
    op, length, checksum = struct.unpack_from("<BHI", frame, 1)
    if length != len(frame) - 8:
        return None
    return Request(op, checksum, frame[8:])


def answer(op: int, value: int, data: bytes, status: bytes) -> bytes:
    """An answer's frame, without SLIP."""
    body = data + status
    return struct.pack("<BBHI", 1, op, len(body), value & 0xFFFFFFFF) + body


def bad_length() -> Refused:
    """The message has another length than the command's."""
    return Refused(0x05, 0xC0)


def unknown() -> Refused:
    """There is no such command here."""
    return Refused(0x05, 0xFF)
