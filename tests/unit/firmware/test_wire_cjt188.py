"""CJ/T 188: the fixed frame, what meters answer, and every damaged byte refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.wire import cjt188

REQUEST = bytes.fromhex("FE FE FE FE 68 10 44 33 22 11 00 33 78 01 03 1F 90 00 80 16")
METER = "78330011223344"
TOTALS = bytes.fromhex("00 78 56 12 2C 00 00 00 00 2C 01 02 03 04 05 26 20 00 00")
ADDRESS = st.text("0123456789", min_size=14, max_size=14)
KIND = st.integers(0, 255)


def answer(control: int = 0x81, data: bytes = b"\x1f\x90\x00" + TOTALS, kind: int = 0x10) -> bytes:
    made: bytes = cjt188.encode(kind, METER, control, data)
    return made


def test_the_fixed_frame() -> None:
    made = cjt188.read_request(cjt188.COLD_WATER, METER, cjt188.METERED, 0)
    assert b"\xfe" + cjt188.WAKE + made == REQUEST
    assert cjt188.decode(REQUEST) == (0x10, METER, 0x01, b"\x1f\x90\x00")


def test_what_a_meter_answers() -> None:
    data = cjt188.read_reply(answer(), 0x10, METER, cjt188.METERED, 0)
    assert data == TOTALS
    total, status = cjt188.metered(data)
    assert cjt188.amount(total, cjt188.VOLUME, -3) == 125_678_000  # 125,678.00 m3 in litres
    assert status == 0


@given(KIND, ADDRESS, st.integers(0, 255), st.binary(max_size=64))
def test_what_is_encoded_is_decoded(kind: int, address: str, control: int, data: bytes) -> None:
    frame = cjt188.encode(kind, address, control, data)
    assert cjt188.decode(frame) == (kind, address, control, data)
    assert sum(frame[:-2]) % 256 == frame[-2]
    for cut in range(len(frame)):
        with pytest.raises(cjt188.Cjt188Error):
            cjt188.decode(frame[:cut])


@given(KIND, ADDRESS, st.binary(max_size=40), st.integers(0, 4), st.data())
def test_every_damaged_byte_is_refused(
    kind: int, address: str, payload: bytes, wakes: int, data: st.DataObject
) -> None:
    frame = bytearray(b"\xfe" * wakes + cjt188.encode(kind, address, 0x81, payload))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(cjt188.Cjt188Error):
        cjt188.decode(bytes(frame))


@given(st.binary(max_size=120))
def test_any_bytes_give_a_frame_or_our_error(data: bytes) -> None:
    for parse in (
        cjt188.decode,
        cjt188.length,
        cjt188.read_address_reply,
        cjt188.bcd,
        cjt188.metered,
        lambda raw: cjt188.amount(raw, cjt188.VOLUME, -3),
        lambda raw: cjt188.read_reply(raw, 0x10, METER, cjt188.METERED, 0),
        lambda raw: cjt188.valve_reply(raw, 0x30, METER, 0),
    ):
        with contextlib.suppress(cjt188.Cjt188Error):
            parse(data)


@pytest.mark.parametrize(
    "frame",
    [
        answer(control=0x01),
        answer(control=0x84),
        answer(kind=0x30),
        answer(data=b"\x1f\x90\x01" + TOTALS),
        answer(data=b"\x20\x90\x00" + TOTALS),
        cjt188.encode(0x10, "78330011223345", 0x81, b"\x1f\x90\x00" + TOTALS),
        cjt188.encode(0x10, cjt188.ANY, 0x81, b"\x1f\x90\x00" + TOTALS),
    ],
)
def test_another_answer_is_not_taken(frame: bytes) -> None:
    with pytest.raises(cjt188.Cjt188Error):
        cjt188.read_reply(frame, 0x10, METER, cjt188.METERED, 0)


def test_a_refusal_tells_the_status() -> None:
    with pytest.raises(cjt188.Cjt188Refused) as raised:
        cjt188.read_reply(answer(0xC1, b"\x00\x04\x00"), 0x10, METER, cjt188.METERED, 0)
    assert raised.value.status == 4


def test_a_valve() -> None:
    asked = cjt188.valve_request(cjt188.GAS, METER, cjt188.CLOSE, 7)
    assert cjt188.decode(asked) == (0x30, METER, 0x04, bytes.fromhex("17 A0 07 99"))
    told = cjt188.encode(cjt188.GAS, METER, 0x84, bytes.fromhex("17 A0 07 01 00"))
    status = cjt188.valve_reply(told, cjt188.GAS, METER, 7)
    assert cjt188.valve_of(status) == cjt188.VALVE_CLOSED
    assert cjt188.valve_of(4) == cjt188.VALVE_OPEN
    assert cjt188.valve_of(3) == cjt188.valve_of(2) == cjt188.VALVE_FAULT
    with pytest.raises(cjt188.Cjt188Error):
        cjt188.valve_request(cjt188.GAS, METER, 0, 7)


def test_a_meter_is_found() -> None:
    assert cjt188.decode(cjt188.read_address_request())[:3] == (0xAA, cjt188.ANY, 0x03)
    told = cjt188.encode(cjt188.GAS, METER, 0x83, bytes.fromhex("0A 81 00"))
    assert cjt188.read_address_reply(told) == (cjt188.GAS, METER)


@pytest.mark.parametrize(
    ("raw", "what", "exponent", "value"),
    [
        ("50 00 00 00 2C", cjt188.VOLUME, -3, 500),
        ("99 99 99 99 29", cjt188.VOLUME, -3, 1_000_000),  # 999,999.99 l, to the nearest litre
        ("01 00 00 00 29", cjt188.VOLUME, -3, 0),
        ("34 12 00 00 05", cjt188.ENERGY, 0, 12_340),
        ("01 00 00 00 0A", cjt188.ENERGY, 3, 1000),
        ("25 01 00 00 32", cjt188.FLOW, -3, 1),
    ],
)
def test_units(raw: str, what: int, exponent: int, value: int) -> None:
    assert cjt188.amount(bytes.fromhex(raw), what, exponent) == value


@pytest.mark.parametrize("raw", ["00 00 00 00 05", "00 00 00 00 FF", "0A 00 00 00 2C", "00 00"])
def test_what_is_no_volume_is_refused(raw: str) -> None:
    with pytest.raises(cjt188.Cjt188Error):
        cjt188.amount(bytes.fromhex(raw), cjt188.VOLUME, -3)
