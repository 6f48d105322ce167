"""DL/T 645-2007: the fixed frames, an independent library's, and every damaged byte refused."""

import contextlib

import pytest
from dlt645.protocol.protocol import DLT645Protocol
from hypothesis import given
from hypothesis import strategies as st
from node.wire import dlt645

REQUEST = bytes.fromhex("68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16")
ANSWER = bytes.fromhex("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16")
PLATE = "000000000161"
ENERGY = 0x00010000
ADDRESS = st.text("0123456789", min_size=12, max_size=12)
DATA = st.binary(max_size=dlt645.MAX_DATA)


def test_the_fixed_frames() -> None:
    assert dlt645.read_request(PLATE, ENERGY) == REQUEST
    data, more = dlt645.read_reply(ANSWER, PLATE, ENERGY)
    assert (dlt645.bcd(data), more) == (26, False)  # 0.26 kWh
    assert dlt645.decode(dlt645.WAKE + ANSWER) == dlt645.decode(ANSWER)


@given(ADDRESS, st.integers(0, 255), DATA)
def test_a_frame_is_the_one_that_the_library_makes(
    address: str, control: int, data: bytes
) -> None:
    theirs = DLT645Protocol.build_frame(bytes.fromhex(address)[::-1], control, data)
    assert theirs.endswith(dlt645.encode(address, control, data))
    frame = DLT645Protocol.deserialize(dlt645.encode(address, control, data))
    assert frame is not None
    assert bytes(frame.data) == data
    assert dlt645.decode(dlt645.encode(address, control, data)) == (address, control, data)


@given(ADDRESS, st.binary(max_size=40), st.integers(0, 4), st.data())
def test_every_damaged_byte_is_refused(
    address: str, payload: bytes, wakes: int, data: st.DataObject
) -> None:
    frame = bytearray(b"\xfe" * wakes + dlt645.encode(address, 0x91, payload))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(dlt645.Dlt645Error):
        dlt645.decode(bytes(frame))


@given(st.binary(max_size=240))
def test_any_bytes_give_a_frame_or_our_error(data: bytes) -> None:
    for parse in (
        dlt645.decode,
        dlt645.length,
        dlt645.read_address_reply,
        dlt645.bcd,
        lambda raw: dlt645.read_reply(raw, PLATE, ENERGY),
        lambda raw: dlt645.read_reply(raw, PLATE, ENERGY, 1),
    ):
        with contextlib.suppress(dlt645.Dlt645Error):
            parse(data)


def test_data_that_holds_the_marks_goes_by_length() -> None:
    marks = bytes(byte - 0x33 & 255 for byte in b"\x68\x16\x68\x16\x16")
    frame = dlt645.encode(PLATE, 0x91, marks)
    assert frame.count(b"\x68") == 4
    for cut in range(10, len(frame)):
        assert dlt645.length(frame[:cut]) == len(frame)
        with pytest.raises(dlt645.Dlt645Error):
            dlt645.decode(frame[:cut])
    with pytest.raises(dlt645.Dlt645Error, match="more than one"):
        dlt645.decode(frame + frame)


def test_a_meter_that_has_no_such_data_says_so() -> None:
    frame = dlt645.encode(PLATE, 0xD1, b"\x02")
    with pytest.raises(dlt645.Dlt645Refused) as raised:
        dlt645.read_reply(frame, PLATE, ENERGY)
    assert raised.value.code == 2


def test_what_follows_is_asked_for_by_parts() -> None:
    wanted = ENERGY.to_bytes(4, "little")
    first = dlt645.encode(PLATE, 0xB1, wanted + b"\x11" * 8)
    assert dlt645.read_reply(first, PLATE, ENERGY) == (b"\x11" * 8, True)
    assert dlt645.decode(dlt645.read_request(PLATE, ENERGY, 1))[1:] == (0x12, wanted + b"\x01")
    last = dlt645.encode(PLATE, 0x92, wanted + b"\x22\x01")
    assert dlt645.read_reply(last, PLATE, ENERGY, 1) == (b"\x22", False)
    with pytest.raises(dlt645.Dlt645Error, match="another part"):
        dlt645.read_reply(last, PLATE, ENERGY, 2)


@pytest.mark.parametrize(
    "frame",
    [
        dlt645.encode("000000000162", 0x91, bytes.fromhex("00000100 59333333")),
        dlt645.encode(PLATE, 0x11, bytes.fromhex("00000100 59333333")),
        dlt645.encode(PLATE, 0x94, b""),
        dlt645.encode(PLATE, 0x91, bytes.fromhex("00000200 26000000")),
        dlt645.encode(PLATE, 0x91, b"\0"),
    ],
)
def test_another_answer_is_not_taken(frame: bytes) -> None:
    with pytest.raises(dlt645.Dlt645Error):
        dlt645.read_reply(frame, PLATE, ENERGY)


def test_a_meter_is_found_and_addresses_may_be_short() -> None:
    assert dlt645.decode(dlt645.read_address_request())[:2] == (dlt645.ANY, 0x13)
    told = dlt645.encode(PLATE, 0x93, bytes.fromhex(PLATE)[::-1])
    assert dlt645.read_address_reply(told) == PLATE
    assert dlt645.matches(PLATE, "AAAAAAAA0161")
    assert not dlt645.matches(PLATE, "AAAAAAAA0162")
    with pytest.raises(dlt645.Dlt645Error):
        dlt645.read_address_reply(dlt645.encode(PLATE, 0x93, bytes(6)))


@pytest.mark.parametrize(
    "address", ["", "1", "00000000016", "0000000001611", "00000000016x", "AAAAAAAAAAA1"]
)
def test_an_address_is_of_digits(address: str) -> None:
    with pytest.raises(dlt645.Dlt645Error):
        dlt645.encode(address, 0x11)


@pytest.mark.parametrize(
    ("raw", "value"),
    [("26000000", 26), ("99999999", 99999999), ("3412", 1234), ("451200", 1245), ("", 0)],
)
def test_bcd_has_its_low_byte_first(raw: str, value: int) -> None:
    assert dlt645.bcd(bytes.fromhex(raw)) == value


def test_bcd_may_have_a_sign_and_ff_is_no_digit() -> None:
    assert dlt645.bcd(bytes.fromhex("341280"), signed=True) == -1234
    assert dlt645.bcd(bytes.fromhex("341200"), signed=True) == 1234
    for wrong in ("FFFF", "0A", "A0"):
        with pytest.raises(dlt645.Dlt645Error):
            dlt645.bcd(bytes.fromhex(wrong))
