"""Where a profile says that a value stands, and of which kind: by protocol, bit by bit."""

from typing import Any

import pytest
from bus_rig import subdevice
from node.wire import cjt188, dlt645, modbus

MODBUS, DLT645, CJT188 = 0, 1, 2
UNSIGNED, SIGNED, BCD, SINGLE, BIT = range(5)
AMOUNT = 8  # and what it is of: cjt188.VOLUME ...
DATA = bytes.fromhex("0001 fffe 1234 c0480000 0102")


@pytest.fixture
def value(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = subdevice(monkeypatch)
    codecs = {MODBUS: modbus, DLT645: dlt645, CJT188: cjt188}

    def read(protocol: int, data: bytes, *where: int) -> int:
        found: int = module._value(codecs[protocol], protocol, data, list(where))
        return found

    return read


@pytest.mark.parametrize(
    ("at", "size", "kind", "times", "expected"),
    [
        (0, 1, UNSIGNED, 1, 1),
        (0, 1, UNSIGNED, 100, 100),
        (1, 1, UNSIGNED, 1, 0xFFFE),
        (1, 1, SIGNED, 1, -2),
        (1, 1, SIGNED, 10, -20),
        (2, 1, BCD, 1, 1234),
        (0, 2, UNSIGNED, 1, 0x1FFFE),
        (3, 2, SINGLE, 1, -3),  # -3.125
        (3, 2, SINGLE, 1000, -3125),
        (5, 1, UNSIGNED, 1, 0x0102),
        (0, 2, modbus.CDAB << 4 | UNSIGNED, 1, 0xFFFE0001),  # registers swapped
        (5, 1, modbus.BADC << 4 | UNSIGNED, 1, 0x0201),  # bytes swapped
        (0, 2, modbus.DCBA << 4 | UNSIGNED, 1, 0xFEFF0100),  # both
    ],
)
def test_registers(value: Any, at: int, size: int, kind: int, times: int, expected: int) -> None:
    assert value(MODBUS, DATA, at, size, kind, times) == expected


@pytest.mark.parametrize("at", range(16))
def test_bits_from_the_lowest_of_the_first_byte_on(value: Any, at: int) -> None:
    data = (0b1000_0001_0101_0011).to_bytes(2, "little")
    bit = 0b1000_0001_0101_0011 >> at & 1
    assert value(MODBUS, data, at, 1, BIT, 1) == bit
    assert value(MODBUS, data, at, 1, BIT, 10) == 10 * bit


def test_decimal_digits_of_an_electricity_meter(value: Any) -> None:
    data = bytes.fromhex("78563412 3482")
    assert value(DLT645, data, 0, 4, 0, 1) == 12345678
    assert value(DLT645, data, 0, 2, 0, 10) == 56780
    assert value(DLT645, data, 4, 2, 1, 1) == -234
    with pytest.raises(ValueError, match="shorter"):
        value(DLT645, data, 4, 3, 0, 1)
    with pytest.raises(ValueError, match="BCD"):
        value(DLT645, b"\xff\xff", 0, 2, 0, 1)


VOLUME = AMOUNT + cjt188.VOLUME
TOTAL = bytes.fromhex("78563412 2c")  # 123456.78 m3


@pytest.mark.parametrize(("status", "valve"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 0), (5, 1)])
def test_the_status_of_a_gas_meter(value: Any, status: int, valve: int) -> None:
    data = TOTAL + bytes(7) + bytes((status, 0))
    told = {0: cjt188.VALVE_OPEN, 1: cjt188.VALVE_CLOSED, 2: cjt188.VALVE_FAULT}[valve]
    assert value(CJT188, data, 0, 0, 1, 1) == told
    assert value(CJT188, data, 0, 0, 2, 1) == (1 if status & 4 else 0)
    assert value(CJT188, data, 0, 4, 0, 1) == 12345678
    assert value(CJT188, data, 0, 4, 0, 10) == 123456780


def test_its_amount(value: Any) -> None:
    data = TOTAL + bytes(9)
    litres = value(CJT188, data, 0, -3, VOLUME, 1)
    assert litres == 123_456_780
    assert value(CJT188, data, 0, -3, VOLUME, 10) == 10 * litres
    with pytest.raises(ValueError, match="shorter"):
        value(CJT188, data[:4], 0, -3, VOLUME, 1)
