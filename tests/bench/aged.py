"""A gas meter in its seventh year: what counts up takes more bytes in its reports."""

import binascii
import struct
from typing import Any

from fleet.wire import cbor
from hil.virtual.board import VirtualBoard
from hil.virtual.node import NAMESPACE, VirtualNode

RECORDS = 60_000  # hourly records given so far
PULSES = 234_567  # 2,345.67 m3 by 10 l
NUMBERS = 60_000  # OSCORE sender sequence: a Partial IV of two bytes
COUNTS = {"wakes": 60_000, "failed": 300}  # of RTC memory: the power has never failed
EPOCH = 0x9E3779B9

_LEDGER = "<4sIIIIIIIIBIII"  # as in firmware/node/store/ledger.py
_REGISTER = "<BBBBHHHHHBIIII"  # as in firmware/node/store/register.py
_STATE = "<2sBHI"  # as in firmware/node/store/rtcstate.py


def before_start(node: VirtualNode) -> None:
    """Journal, register and sender sequence; after `provision`."""
    fields = (EPOCH, RECORDS, RECORDS + 1, 0, 0, 0, 0, 0, 0xFF, 0, 0, 0)
    ledger = struct.pack(_LEDGER, b"KJ2\n", *fields)
    ledger += struct.pack("<I", binascii.crc32(ledger))
    node.board.wipe_vfs({**node.files, "/journal/ledger": ledger})
    register = struct.pack(_REGISTER, 4, 0, 0, 0, 1, 0, 0, 0, 10, 4 << 4, PULSES * 10, 0, 0, 0)
    node.board.nvs.set_blob(NAMESPACE, "reg", register)
    blob = node.board.nvs.get(NAMESPACE, "oscore")
    if isinstance(blob, bytes):
        context: Any = cbor.decode(blob)
        node.board.nvs.set_i32(NAMESPACE, "q" + context[0].hex(), NUMBERS)


def while_asleep(board: VirtualBoard) -> None:
    """The counts in RTC memory; once the node has saved it for the first time."""
    memory = board.rtc.memory
    state: Any = cbor.decode(memory[struct.calcsize(_STATE) :])
    body = cbor.encode({**state, **COUNTS})
    head = struct.pack(_STATE, b"KR", memory[2], len(body), binascii.crc32(body))
    board.rtc.memory = head + body
