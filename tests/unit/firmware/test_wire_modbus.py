"""Modbus RTU: the fixed frame, an independent library's, and every damaged byte refused."""

import contextlib
import math
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.wire import modbus
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    WriteMultipleRegistersRequest,
)

ASKED = bytes.fromhex("01 03 00 00 00 05 85 C9")
THEIRS = FramerRTU(DecodePDU(False))
ADDRESS = st.integers(1, 247)
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=100)


def test_the_fixed_frame_is_made() -> None:
    assert modbus.read_request(1, modbus.READ_HOLDING, 0, 5) == ASKED
    assert modbus.decode(ASKED) == (1, bytes.fromhex("03 0000 0005"))
    assert modbus.request_length(ASKED) == len(ASKED)


@given(ADDRESS, st.integers(0, 0xFF00), st.integers(1, 125))
def test_a_request_is_the_one_that_pymodbus_makes(address: int, start: int, count: int) -> None:
    theirs = ReadHoldingRegistersRequest(address=start, count=count, dev_id=address)
    assert modbus.read_request(address, modbus.READ_HOLDING, start, count) == THEIRS.buildFrame(
        theirs
    )


@given(ADDRESS, st.integers(0, 0xFF00), st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=100))
def test_a_write_is_the_one_that_pymodbus_makes(
    address: int, start: int, values: list[int]
) -> None:
    theirs = WriteMultipleRegistersRequest(address=start, registers=values, dev_id=address)
    assert modbus.write_request(address, start, values) == THEIRS.buildFrame(theirs)


@given(ADDRESS, WORDS)
def test_an_answer_of_pymodbus_is_read(address: int, words: list[int]) -> None:
    frame = THEIRS.buildFrame(ReadHoldingRegistersResponse(registers=words, dev_id=address))
    assert modbus.reply_length(frame[:3]) == len(frame)
    data = modbus.read_reply(frame, address, modbus.READ_HOLDING, len(words))
    assert data == struct.pack(f">{len(words)}H", *words)


@given(st.binary(max_size=64))
def test_the_check_is_that_of_pymodbus(data: bytes) -> None:
    ours = modbus.crc(data)
    assert (ours & 255) << 8 | ours >> 8 == FramerRTU.compute_CRC(data)


@given(ADDRESS, WORDS, st.data())
def test_every_damaged_byte_is_refused(
    address: int, words: list[int], data: st.DataObject
) -> None:
    pdu = bytes((3, 2 * len(words))) + struct.pack(f">{len(words)}H", *words)
    frame = bytearray(modbus.encode(address, pdu))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(modbus.ModbusError):
        modbus.decode(bytes(frame))
    with pytest.raises(modbus.ModbusError):
        modbus.read_reply(bytes(frame), address, 3, len(words))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_frame_or_our_error(data: bytes) -> None:
    for parse in (
        modbus.decode,
        modbus.reply_length,
        modbus.request_length,
        lambda raw: modbus.read_reply(raw, 1, 3, 5),
        lambda raw: modbus.write_reply(raw, ASKED),
        lambda raw: modbus.ordered(raw, modbus.CDAB),
        lambda raw: modbus.bcd(raw, modbus.ABCD),
    ):
        with contextlib.suppress(modbus.ModbusError):
            parse(data)


@given(st.binary(max_size=12), st.integers(1, 247), st.integers(0, 255))
def test_a_reply_that_checks_out_is_never_taken_for_another_devices(
    rest: bytes, sender: int, function: int
) -> None:
    frame = modbus.encode(sender, bytes((function,)) + rest)
    try:
        data = modbus.read_reply(frame, 1, 3, 5)
    except modbus.ModbusError:
        return
    assert (sender, function, len(data)) == (1, 3, 10)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("01 83 02 C0 F1", "exception 2"),
        ("01 03 02 00 01 79 84", "another answer"),
        ("02 03 0A 00 01 00 02 00 03 00 04 00 05", "2 answers for 1"),
    ],
)
def test_what_is_no_answer_says_why(frame: str, why: str) -> None:
    raw = bytes.fromhex(frame)
    if modbus.crc(raw[:-2]) != raw[-2] | raw[-1] << 8:
        raw = modbus.encode(raw[0], raw[1:])
    with pytest.raises(modbus.ModbusError, match=why):
        modbus.read_reply(raw, 1, 3, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: modbus.read_request(0, 3, 0, 1),
        lambda: modbus.read_request(248, 3, 0, 1),
        lambda: modbus.read_request(1, 3, 0, 126),
        lambda: modbus.read_request(1, 3, 0xFFFF, 2),
        lambda: modbus.read_request(1, 5, 0, 1),
        lambda: modbus.write_request(1, 0, []),
        lambda: modbus.write_request(1, 0, [65536]),
        lambda: modbus.ordered(b"\0\1", 4),
        lambda: modbus.single(b"\0\1", 0, 1),
    ],
)
def test_what_the_standard_forbids_is_not_made(wrong: object) -> None:
    with pytest.raises(modbus.ModbusError):
        wrong()  # type: ignore[operator]


NUMBER = 0x11223344


@pytest.mark.parametrize(
    ("order", "raw"),
    [("ABCD", "11223344"), ("CDAB", "33441122"), ("BADC", "22114433"), ("DCBA", "44332211")],
)
def test_each_word_and_byte_order(order: str, raw: str) -> None:
    place = modbus.ORDERS.index(order)
    assert modbus.unsigned(bytes.fromhex(raw), place) == NUMBER
    assert modbus.ordered(bytes.fromhex(raw), place) == NUMBER.to_bytes(4, "big")


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from(["big", "little"]))
def test_signed_numbers_are_those_of_pymodbus(value: int, words: str) -> None:
    kind = ModbusClientMixin.DATATYPE.INT32
    registers = ModbusClientMixin.convert_to_registers(value, kind, words)  # type: ignore[arg-type]
    raw = struct.pack(">2H", *registers)
    assert modbus.signed(raw, modbus.ABCD if words == "big" else modbus.CDAB) == value


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 10, 1000, 100000]))
def test_a_binary32_is_scaled_in_integers_as_exact_arithmetic_does(bits: int, scale: int) -> None:
    raw = bits.to_bytes(4, "big")
    (value,) = struct.unpack(">f", raw)
    if not math.isfinite(value):
        with pytest.raises(modbus.ModbusError):
            modbus.single(raw, modbus.ABCD, scale)
        return
    exact = abs(Fraction(value)) * scale
    nearest = math.floor(exact + Fraction(1, 2))
    assert modbus.single(raw, modbus.ABCD, scale) == (-nearest if value < 0 else nearest)


@given(st.integers(0, 99999999))
def test_bcd(value: int) -> None:
    assert modbus.bcd(bytes.fromhex(f"{value:08d}"), modbus.ABCD) == value
