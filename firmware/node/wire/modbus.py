"""Modbus RTU (Modbus over Serial Line V1.02, Application Protocol V1.1b3): frames and numbers.

A reply's length follows from its first bytes; which order a number's words and bytes have is up to
the device's maker, so it is an argument.
"""

MAX_BYTES = 256  # of a frame, address and CRC included (Serial Line V1.02, 2.5.1)
BROADCAST = 0

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16

# How a maker orders the bytes of a 32-bit number 0xAABBCCDD in two registers.
ABCD, CDAB, BADC, DCBA = 0, 1, 2, 3
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


class ModbusError(ValueError):
    """The bytes are no frame, not the frame that was asked for, or hold no such number."""


class ModbusRefused(ModbusError):
    """The device answered with an exception; `code` is the exception's (V1.1b3, 7)."""

    def __init__(self, code: int) -> None:
        super().__init__("the device refuses: exception %d" % code)
        self.code = code


def crc(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 0x8005 reflected, initial value 0xFFFF."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


def encode(address: int, pdu: bytes) -> bytes:
    """A frame: address, function and data, CRC with its low byte first."""
    if not 0 <= address <= 247 or not 1 <= len(pdu) <= MAX_BYTES - 3:
        raise ModbusError("address 0..247, and 1..253 bytes")
    body = bytes((address,)) + pdu
    check = crc(body)
    return body + bytes((check & 255, check >> 8))


def decode(data: bytes) -> "tuple[int, bytes]":
    """(address, function and data) of a whole frame; ModbusError for anything else. Total."""
    if not 4 <= len(data) <= MAX_BYTES:
        raise ModbusError("a frame of %d bytes: 4 to 256" % len(data))
    if crc(data[:-2]) != data[-2] | data[-1] << 8:
        raise ModbusError("wrong CRC")
    if data[0] > 247:
        raise ModbusError("address %d: 0 to 247" % data[0])
    return data[0], bytes(data[1:-2])


def read_request(address: int, function: int, start: int, count: int) -> bytes:
    """A request to read `count` coils, inputs or registers from `start` on; functions 1 to 4."""
    most = _most(function)
    if not 0 <= start <= 0xFFFF or not 1 <= count <= most or start + count > 0x10000:
        raise ModbusError("reads 1 to %d from 0..65535" % most)
    if address == BROADCAST:
        raise ModbusError("nobody answers a broadcast")
    return encode(address, bytes((function,)) + _pair(start) + _pair(count))


def write_request(address: int, start: int, values: "list[int]") -> bytes:
    """A request to write registers, 0..65535 each: function 6 for one, 16 for up to 123."""
    if not 1 <= len(values) <= 123 or not 0 <= start <= 0x10000 - len(values):
        raise ModbusError("writes 1 to 123 registers from 0..65535")
    for value in values:
        if not 0 <= value <= 0xFFFF:
            raise ModbusError("a register holds 0..65535")
    if len(values) == 1:
        return encode(address, bytes((WRITE_REGISTER,)) + _pair(start) + _pair(values[0]))
    head = bytes((WRITE_REGISTERS,)) + _pair(start) + _pair(len(values))
    return encode(
        address, head + bytes((2 * len(values),)) + b"".join([_pair(value) for value in values])
    )


def reply_length(data: bytes) -> int:
    """How many bytes the reply that begins with `data` has, 0 while that cannot be told yet.

    ModbusError when no reply begins so.
    """
    if len(data) < 2:
        return 0
    function = data[1]
    if function & 0x80:
        return 5
    if function in (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS):
        return 8
    if not READ_COILS <= function <= READ_INPUT:
        raise ModbusError("function %d is not known" % function)
    if len(data) < 3:
        return 0
    if not 1 <= data[2] <= MAX_BYTES - 5:
        raise ModbusError("%d bytes of data: 1 to 251" % data[2])
    return 5 + data[2]


def request_length(data: bytes) -> int:
    """How many bytes the request that begins with `data` has, as in `reply_length`."""
    if len(data) < 2:
        return 0
    function = data[1]
    if READ_COILS <= function <= WRITE_REGISTER:
        return 8
    if function not in (WRITE_COILS, WRITE_REGISTERS):
        raise ModbusError("function %d is not known" % function)
    if len(data) < 7:
        return 0
    if not 1 <= data[6] <= MAX_BYTES - 9:
        raise ModbusError("%d bytes of data: 1 to 247" % data[6])
    return 9 + data[6]


def read_reply(data: bytes, address: int, function: int, count: int) -> bytes:
    """The bytes that answer `read_request(address, function, ..., count)`.

    Registers have two bytes each, the high one first; coils are bits, the first one lowest.
    ModbusRefused for an exception, ModbusError for all that is not this answer.
    """
    size = 2 * count if function in (READ_HOLDING, READ_INPUT) else (count + 7) // 8
    sender, pdu = decode(data)
    if sender != address:
        raise ModbusError("%d answers for %d" % (sender, address))
    if pdu[0] == function | 0x80 and len(pdu) == 2:
        raise ModbusRefused(pdu[1])
    if pdu[0] != function or len(pdu) != 2 + size or pdu[1] != size:
        raise ModbusError("another answer: function %d, %d bytes" % (pdu[0], len(pdu)))
    return pdu[2:]


def write_reply(data: bytes, request: bytes) -> None:
    """Nothing, when `data` confirms `request`, a write; else as in `read_reply`."""
    address, asked = decode(request)
    sender, pdu = decode(data)
    if sender == address and len(pdu) == 2 and pdu[0] == asked[0] | 0x80:
        raise ModbusRefused(pdu[1])
    if sender != address or pdu != asked[:5]:
        raise ModbusError("another answer than to this write")


def ordered(data: bytes, order: int) -> bytes:
    """The bytes of a number, most significant first, of registers in `order`.

    For 64-bit numbers the order goes on in the same way: CDAB has its words in reverse.
    """
    if not data or len(data) & 1 or not ABCD <= order <= DCBA:
        raise ModbusError("a number has whole registers, and one of 4 orders")
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in (CDAB, DCBA):
        words.reverse()
    if order in (BADC, DCBA):
        words = [bytes((word[1], word[0])) for word in words]
    return b"".join(words)


def unsigned(data: bytes, order: int) -> int:
    """An unsigned number of 1, 2 or 4 registers."""
    return int.from_bytes(ordered(data, order), "big")


def signed(data: bytes, order: int) -> int:
    """The same in two's complement."""
    value = unsigned(data, order)
    return value - (1 << 8 * len(data)) if value >> 8 * len(data) - 1 else value


def bcd(data: bytes, order: int) -> int:
    """A number whose half bytes are decimal digits."""
    value = 0
    for byte in ordered(data, order):
        if byte & 15 > 9 or byte >> 4 > 9:
            raise ModbusError("%02x is no BCD" % byte)
        value = value * 100 + (byte >> 4) * 10 + (byte & 15)
    return value


def single(data: bytes, order: int, scale: int) -> int:
    """An IEEE 754 binary32 in two registers times `scale`, to the nearest integer, half away from
    zero: in integers, since floats of node and fleet differ. ModbusError where it is no number.
    """
    if len(data) != 4:
        raise ModbusError("a binary32 has two registers")
    bits = unsigned(data, order)
    exponent = bits >> 23 & 255
    mantissa = bits & 0x7FFFFF
    if exponent == 255:
        raise ModbusError("infinite, or not a number")
    if exponent:
        mantissa |= 0x800000
    else:
        exponent = 1
    value = mantissa * scale
    shift = exponent - 150
    value = value << shift if shift >= 0 else (value + (1 << -shift - 1)) >> -shift
    return -value if bits >> 31 else value


def _most(function: int) -> int:
    if function in (READ_HOLDING, READ_INPUT):
        return 125
    if function in (READ_COILS, READ_DISCRETE):
        return 2000
    raise ModbusError("function %d does not read" % function)


def _pair(value: int) -> bytes:
    return bytes((value >> 8, value & 255))
