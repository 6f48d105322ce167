"""The two checks of 16 bits over long frames, a byte a step: CRC-16/MODBUS and that of HJ 212.

`fleet.wire.modbus.crc` is the same as `modbus` here without a table, which a node has no room for.
"""


def _table() -> tuple[int, ...]:
    made = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        made.append(value)
    return tuple(made)


_TABLE = _table()


def modbus(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 0x8005 reflected, initial value 0xFFFF (SL 651-2014, 6.2.3)."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value


def hj212(data: bytes) -> int:
    """HJ 212-2017, annex A: the byte meets the register's high half, and its low half is lost."""
    value = 0xFFFF
    for byte in data:
        value = _TABLE[value >> 8 ^ byte]
    return value
