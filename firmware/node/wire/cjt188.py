"""CJ/T 188 (the frame of 2004, kept by 2018): water, gas and heat meters.

A frame is found by its length. Addresses are text of 14 digits, most significant first, so the
maker's four stand in front; on the wire the last two digits come first.
"""

ANY = "AAAAAAAAAAAAAA"  # whichever meter hears it: one meter on the line only
ANY_TYPE = 0xAA
MAX_DATA = 100  # bytes: 64 in a read's answer, a heat meter's included; others may have more
OVERHEAD = 13  # bytes of a frame that are not data
MAX_FE = 16  # before a frame
WAKE = b"\xfe\xfe\xfe"  # precedes a frame

COLD_WATER, HOT_WATER, DRINKING, RECLAIMED, HEAT, COOLING = 0x10, 0x11, 0x12, 0x13, 0x20, 0x21
GAS, ELECTRICITY = 0x30, 0x40

READ, READ_ADDRESS, WRITE, SET_ADDRESS, SET_BASE = 0x01, 0x03, 0x04, 0x15, 0x16
_REPLY, _ERROR = 0x80, 0x40

METERED = 0x901F  # data: what was metered so far
VALVE = 0xA017
OPEN, CLOSE = 0x55, 0x99

# Units by code: (what, exponent of ten of the base unit). Bases: Wh, J, W, m3, m3/h.
ENERGY, HEAT_J, POWER, VOLUME, FLOW = 0, 1, 2, 3, 4
UNITS = {
    0x02: (ENERGY, 0), 0x05: (ENERGY, 3), 0x08: (ENERGY, 6), 0x0A: (ENERGY, 8),
    0x01: (HEAT_J, 0), 0x0B: (HEAT_J, 3), 0x0E: (HEAT_J, 6), 0x11: (HEAT_J, 9), 0x13: (HEAT_J, 11),
    0x14: (POWER, 0), 0x17: (POWER, 3), 0x1A: (POWER, 6),
    0x29: (VOLUME, -3), 0x2C: (VOLUME, 0), 0x32: (FLOW, -3), 0x35: (FLOW, 0),
}  # fmt: skip

VALVE_OPEN, VALVE_CLOSED, VALVE_FAULT = 0, 1, 3  # bits 1 and 0 of the status
BATTERY_LOW = 4  # bit 2


class Cjt188Error(ValueError):
    """The bytes are no frame, not the frame that was asked for, or hold no such number."""


class Cjt188Refused(Cjt188Error):
    """The meter answered that it does not; `status` is what it says of itself."""

    def __init__(self, status: int) -> None:
        super().__init__("the meter refuses: status %04x" % status)
        self.status = status


def encode(kind: int, address: str, control: int, data: bytes = b"") -> bytes:
    """A frame without the bytes that wake the meter; `data` from its DI on."""
    if not 0 <= kind <= 255 or not 0 <= control <= 255 or len(data) > MAX_DATA:
        raise Cjt188Error("type and control of one byte, and up to 100 bytes of data")
    body = bytes((0x68, kind)) + _flat(address) + bytes((control, len(data))) + data
    return body + bytes((sum(body) & 255, 0x16))


def decode(frame: bytes) -> "tuple[int, str, int, bytes]":
    """(type, address, control, data) of one whole frame, bytes of FE before it allowed.

    Cjt188Error for anything else. Total.
    """
    start = 0
    while start < len(frame) and start < MAX_FE and frame[start] == 0xFE:
        start += 1
    frame = frame[start:]
    if not frame or length(frame) != len(frame):
        raise Cjt188Error("cut short, or more than one frame")
    if sum(frame[:-2]) & 255 != frame[-2]:
        raise Cjt188Error("wrong checksum")
    if frame[-1] != 0x16:
        raise Cjt188Error("does not end with 16")
    return frame[1], _text(frame[2:9]), frame[9], bytes(frame[11:-2])


def length(data: bytes) -> int:
    """How many bytes the frame that begins with `data` has, 0 while that cannot be told yet.

    Cjt188Error when no frame begins so.
    """
    if data and data[0] != 0x68:
        raise Cjt188Error("does not begin with 68")
    if len(data) < 11:
        return 0
    if data[10] > MAX_DATA:
        raise Cjt188Error("%d bytes of data: 100 at most" % data[10])
    return OVERHEAD + data[10]


def read_request(kind: int, address: str, item: int, serial: int) -> bytes:
    """A request for the data `item`, 0x901F for what was metered; `serial` 0..255 comes back."""
    return encode(kind, address, READ, _head(item, serial))


def read_reply(frame: bytes, kind: int, address: str, item: int, serial: int) -> bytes:
    """The data behind DI and serial that answers `read_request` with the same arguments.

    Cjt188Refused when the meter refuses, Cjt188Error for all that is not this answer.
    """
    return _answer(frame, kind, address, READ, item, serial)


def read_address_request(kind: int = ANY_TYPE) -> bytes:
    """Asks the one meter on the line who it is."""
    return encode(kind, ANY, READ_ADDRESS, _head(0x810A, 0))


def read_address_reply(frame: bytes, kind: int = ANY_TYPE) -> "tuple[int, str]":
    """(type, address) of the meter that answers."""
    sender, address, control, data = decode(frame)
    _check(sender, address, control, data, kind, ANY, READ_ADDRESS)
    if data[:3] != _head(0x810A, 0):
        raise Cjt188Error("no address")
    return sender, address


def valve_request(kind: int, address: str, what: int, serial: int) -> bytes:
    """A request to OPEN or CLOSE the meter's valve."""
    if what not in (OPEN, CLOSE):
        raise Cjt188Error("a valve opens (55) or closes (99)")
    return encode(kind, address, WRITE, _head(VALVE, serial) + bytes((what,)))


def valve_reply(frame: bytes, kind: int, address: str, serial: int) -> int:
    """The meter's status after `valve_request`."""
    data = _answer(frame, kind, address, WRITE, VALVE, serial)
    if len(data) != 2:
        raise Cjt188Error("a valve's answer is a status of 2 bytes")
    return data[0] | data[1] << 8


def bcd(data: bytes) -> int:
    """A number in BCD, low byte first; Cjt188Error where a digit is none."""
    value = 0
    for place in range(len(data) - 1, -1, -1):
        byte = data[place]
        if byte & 15 > 9 or byte >> 4 > 9:
            raise Cjt188Error("%02x is no BCD" % byte)
        value = value * 100 + (byte >> 4) * 10 + (byte & 15)
    return value


def amount(data: bytes, what: int, exponent: int) -> int:
    """Five bytes of BCD with 2 decimals and a unit's code, in 10**exponent of the base unit of
    `what` (UNITS), to the nearest integer: VOLUME in litres is `amount(data, VOLUME, -3)`. Joules
    are ENERGY too.
    """
    if len(data) != 5:
        raise Cjt188Error("an amount has 4 bytes and a unit")
    known, power = UNITS.get(data[4], (-1, 0))
    value = bcd(data[:4])
    divisor = 1
    if known == HEAT_J and what == ENERGY:
        divisor = 3600  # J in a Wh
    elif known != what:
        raise Cjt188Error("unit %02x is another, or not known" % data[4])
    power -= 2 + exponent
    if power >= 0:
        value *= 10**power
    else:
        divisor *= 10**-power
    return (2 * value + divisor) // (2 * divisor)


def metered(data: bytes) -> "tuple[bytes, int]":
    """Of the data of METERED: the five bytes of the present total, and the status."""
    if len(data) < 7:
        raise Cjt188Error("too short for a total and a status")
    return data[:5], data[-2] | data[-1] << 8


def valve_of(status: int) -> int:
    """VALVE_OPEN, VALVE_CLOSED or VALVE_FAULT; what the standard does not name is a fault."""
    return VALVE_FAULT if status & 3 > 1 else status & 3


def _answer(frame: bytes, kind: int, address: str, function: int, item: int, serial: int) -> bytes:
    sender, told, control, data = decode(frame)
    _check(sender, told, control, data, kind, address, function)
    if data[:3] != _head(item, serial):
        raise Cjt188Error("an answer about something else")
    return data[3:]


def _check(
    sender: int, told: str, control: int, data: bytes, kind: int, address: str, function: int
) -> None:
    if kind not in (sender, ANY_TYPE) or address not in (told, ANY) or told == ANY:
        raise Cjt188Error("%02x %s answers for %02x %s" % (sender, told, kind, address))
    if control & 0xC0 == _REPLY | _ERROR and control & 0x3F == function:
        raise Cjt188Refused(int.from_bytes(data[-2:], "little"))
    if control != function | _REPLY:
        raise Cjt188Error("another answer: control %02x" % control)


def _head(item: int, serial: int) -> bytes:
    if not 0 <= item <= 0xFFFF or not 0 <= serial <= 255:
        raise Cjt188Error("a DI has 2 bytes, a serial one")
    # DI with its low byte first: 901F is 1F 90 on the wire.
    return bytes((item & 255, item >> 8, serial))


def _flat(address: str) -> bytes:
    if len(address) != 14:
        raise Cjt188Error("an address has 14 digits")
    flat = []
    for place in range(12, -1, -2):
        pair = address[place : place + 2]
        for digit in pair:
            if digit not in "0123456789ABCDEF":
                raise Cjt188Error("an address has 14 digits")
        flat.append(int(pair, 16))
    return bytes(flat)


def _text(flat: bytes) -> str:
    text = ""
    for byte in flat:
        text = "%02X" % byte + text
    return text
