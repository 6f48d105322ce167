"""The two sectors by which ESP-IDF's bootloader knows what to boot, with rollback enabled as in
MicroPython's builds (CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE): an application that was set to boot
and does not say that it works is gone with the next reset.

Source: ESP-IDF's bootloader_utility.c, bootloader_common.c and esp_ota_ops.c.
"""

import struct
import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

SECTOR = 4096
_ENTRY = struct.Struct("<I20sII")  # sequence, label, state, CRC-32 of the sequence
_NONE = 0xFFFFFFFF

Read = Callable[[int, int], bytes]  # offset in the partition, and size
Write = Callable[[int, bytes], None]  # a sector's number: it is erased, then these are its bytes


class State(IntEnum):
    """esp_ota_img_states_t."""

    NEW = 0
    PENDING_VERIFY = 1
    VALID = 2
    INVALID = 3
    ABORTED = 4
    UNDEFINED = _NONE


class Entry(NamedTuple):
    """What one sector says: `sequence` - 1 modulo the number of slots is the slot."""

    sequence: int
    state: State

    def packed(self) -> bytes:
        """Its bytes in flash."""
        head = struct.pack("<I", self.sequence)
        crc = zlib.crc32(head, 0xFFFFFFFF)
        return _ENTRY.pack(self.sequence, b"\xff" * 20, self.state, crc)


def entries(read: Read) -> list[Entry | None]:
    """Both sectors; None where there is no entry, or a damaged one."""
    found: list[Entry | None] = []
    for number in range(2):
        raw = read(number * SECTOR, _ENTRY.size)
        sequence, _, state, crc = _ENTRY.unpack(raw)
        good = sequence != _NONE and crc == zlib.crc32(raw[:4], 0xFFFFFFFF)
        known = state in State.__members__.values()
        found.append(Entry(sequence, State(state)) if good and known else None)
    return found


def active(found: list[Entry | None]) -> int | None:
    """The sector that counts: the higher sequence of those that may boot; None: neither does."""
    bootable = [
        (entry.sequence, -number)
        for number, entry in enumerate(found)
        if entry is not None and entry.state not in (State.INVALID, State.ABORTED)
    ]
    return -max(bootable)[1] if bootable else None


def boot(read: Read, write: Write, slots: int) -> int | None:
    """What the bootloader does at a reset: the slot to boot, or None where otadata names none.

    What was on trial and comes here again has failed; what was set to boot is on trial now.
    """
    found = entries(read)
    for number, entry in enumerate(found):
        if entry is not None and entry.state is State.PENDING_VERIFY:
            found[number] = Entry(entry.sequence, State.ABORTED)
            write(number, Entry(entry.sequence, State.ABORTED).packed())
    chosen = active(found)
    entry = None if chosen is None else found[chosen]
    if chosen is None or entry is None:
        return None
    if entry.state is State.NEW:
        write(chosen, Entry(entry.sequence, State.PENDING_VERIFY).packed())
    return (entry.sequence - 1) % slots
