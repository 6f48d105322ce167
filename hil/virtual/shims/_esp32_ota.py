"""What ESP-IDF does to otadata for esp32.Partition: esp_ota_set_boot_partition, and the mark of a
runtime that works. The bootloader's half is hil/virtual/otadata.py.
"""

import binascii
import hashlib
import struct

import _link

_ENTRY = "<I20sII"
_NEW, _VALID, _INVALID, _ABORTED = 0, 2, 3, 4
_BLOCK = 4096


def _entries(device):
    # [sequence, state] of both sectors; None where there is none.
    found = []
    raw = bytearray(32)
    for number in (0, 1):
        device.readblocks(number, raw)
        sequence, _, state, crc = struct.unpack(_ENTRY, raw)
        good = sequence != 0xFFFFFFFF and crc == binascii.crc32(raw[:4], 0xFFFFFFFF)
        found.append([sequence, state] if good else None)
    return found


def _active(found):
    best = None
    for number, entry in enumerate(found):
        if not entry or entry[1] in (_INVALID, _ABORTED):
            continue
        if best is None or entry[0] > found[best][0]:
            best = number
    return best


def _write(device, number, sequence, state):
    head = struct.pack("<I", sequence)
    crc = binascii.crc32(head, 0xFFFFFFFF)
    device.ioctl(6, number)
    device.writeblocks(number, struct.pack(_ENTRY, sequence, b"\xff" * 20, state, crc), 0)


def _otadata():
    for row in _link.hello()["partitions"]:
        if row[0] == 1 and not row[1]:
            return _link.flash.part(row[2], row[3])
    raise OSError(-261, "ESP_ERR_NOT_FOUND")


def set_boot(part, find):
    """Boot `part` from the next reset on, on trial; OSError unless its image validates."""
    if not validates(part._blocks(), part._row[3]):
        raise OSError(-5379, "ESP_ERR_OTA_VALIDATE_FAILED")
    if part._row[0] != 0:
        raise OSError(-258, "ESP_ERR_INVALID_ARG")
    device = _otadata()
    found = _entries(device)
    active = _active(found)
    count = len([row for row in find(0) if row._row[1] >= 0x10])
    sequence = part._row[1] - 0x10 + 1
    if active is None:
        active = 1  # the first sector is written
    else:
        while found[active][0] > sequence:
            sequence += count
    _write(device, 1 - active, sequence, _NEW)


def boots(table):
    """The label of what boots after the next reset, as far as otadata says."""
    apps = [row for row in table if row[0] == 0]
    slots = sorted([row for row in apps if 0x10 <= row[1] < 0x20], key=lambda row: row[1])
    device = _otadata()  # as in C, where without one there is no such partition
    found = _entries(device)
    active = _active(found)
    if active is not None and slots:
        return slots[(found[active][0] - 1) % len(slots)][4]
    return ([row for row in apps if row[1] == 0] + slots)[0][4]


def mark_valid():
    """What runs works: the bootloader does not go back."""
    device = _otadata()
    found = _entries(device)
    active = _active(found)
    if active is None:
        raise OSError(1, "ESP_FAIL")
    if found[active][1] != _VALID:
        _write(device, active, found[active][0], _VALID)


def validates(device, size):
    """Whether a whole image with its SHA-256 lies there (the checksum is within it)."""
    head = bytearray(24)
    device.readblocks(0, head)
    if head[0] != 0xE9 or not 0 < head[1] <= 16 or head[23] != 1:
        return False
    at = 24
    field = bytearray(8)
    for _ in range(head[1]):
        if at + 8 > size:
            return False
        device.readblocks(at // _BLOCK, field, at % _BLOCK)
        at += 8 + struct.unpack("<II", field)[1]
    end = at // 16 * 16 + 16
    if end + 32 > size:
        return False
    hasher = hashlib.sha256()
    part = bytearray(_BLOCK)
    for start in range(0, end, _BLOCK):
        n = min(_BLOCK, end - start)
        view = memoryview(part)[:n]
        device.readblocks(start // _BLOCK, view)
        hasher.update(view)
    digest = bytearray(32)
    device.readblocks(end // _BLOCK, digest, end % _BLOCK)
    return hasher.digest() == digest
