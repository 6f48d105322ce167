"""SL 651: bodies by function, what does not fit is refused, answers, packets joined."""

from datetime import datetime

import legacy_fuzz
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.legacy.protocols import sl651, sl651_body, sl651_packets
from fleet.legacy.protocols.frame import BEIJING, FrameError
from fleet.legacy.protocols.sl651 import Message

TEST = bytes.fromhex(
    "7E7E010012345678123430002B020003591011154947F1F1001234567848F0F05910111549"
    "20190000052619000005392300000127381211150320FA"
)
HEAD = "0003 261126081530"
STATION = "F1F1 0012345678 "
SENT = datetime(2026, 11, 26, 8, 15, 30, tzinfo=BEIJING)


def frame(function: int, body: str, *, up: bool = True, end: int | None = None) -> bytes:
    ending = (3 if up else 5) if end is None else end
    raw = bytes.fromhex(HEAD + body)
    return sl651.encode(Message(up, 1, "0012345678", 0x1234, function, raw, ending))


def read(function: int, body: str, *, up: bool = True) -> Message:
    return sl651.decode(frame(function, body, up=up))


@given(st.integers(-9_999_999, 9_999_999), st.integers(0, 7))
def test_a_number_goes_round(number: int, decimals: int) -> None:
    digits = bytes.fromhex(f"{abs(number):08}")
    data = (b"\xff" if number < 0 else b"") + digits
    body = f"{STATION}48 F0F0 2611260815 39 {len(data) << 3 | decimals:02X} {data.hex()}"
    told = sl651.values(read(0x32, body))
    assert [one.key for one in told] == ["Z"]
    assert round(float(told[0].value) * 10**decimals) == number
    assert told[0].time == SENT.replace(second=0)


@given(st.binary(min_size=1, max_size=300), st.sampled_from([0x00, 0x52, 0xE0]), st.booleans())
def test_a_frame_of_a_function_of_its_maker_goes_round(
    rest: bytes, function: int, up: bool
) -> None:
    raw = frame(function, rest.hex(), up=up)
    message = sl651.decode(raw)
    assert (message.serial, message.sent) == (3, SENT)
    assert sl651.encode(message) == raw


def test_each_reading_names_its_station() -> None:
    other = STATION.replace("12345678", "87654321")
    level = "48 F0F0 2611260815 39 23 00000127 "
    told = read(0x32, STATION + level + other + level)
    assert [one.source for one in told.readings] == ["0012345678", "0087654321"]
    assert told.content["observed_stations"] == ["0012345678", "0087654321"]


def test_a_series_of_a_time_step() -> None:
    body = STATION + "48 F0F0 2611260800 0418 000100 39 1B 000001 FFFFFF FF0001 000003"
    body = body.replace("FF0001", "001000")
    told = sl651.decode(frame(0x31, body.replace("0418 000100", "0418 000005")))
    assert [one.value for one in told.readings] == ["0.001", "1.000", "0.003"]
    assert [one.time.minute for one in told.readings if one.time] == [0, 10, 15]
    assert told.notes == ("Z: missing",)


@pytest.mark.parametrize(
    ("function", "body", "why"),
    [
        (0x2F, "00", "1 bytes too many in the body"),
        (0x32, "3923 00000127", "no station's F1F1"),
        (0x32, STATION + "48 39 23 000127", "element 39: 4 bytes, 3 there"),
        (0x32, STATION + "48 39 23 0000012A", "2A is no BCD"),
        (0x32, STATION + "48 39 03", "with a length of 0"),
        (0x32, STATION + "48 F0F1 2611260815", "F1 behind F0"),
        (0x32, STATION + "48 F0F0 2613260815", "is no time"),
        (0x34, STATION + "48 F458" + "00" * 11, "DRP of 11 bytes: 12 expected"),
        (0x31, STATION + "48 0418 000005 39 1B 000001 0002", "2 bytes behind values of 3"),
        (0x46, STATION + "4518 000000", "no state 4520"),
        (0x45, STATION + "05 4142", "the version: 5 bytes, 2 there"),
        (0x50, STATION + "00", "32 counts of events: 64 bytes, 1 there"),
        (0x46, "45 20 00000400", "where a station's F1F1 stands"),
    ],
)
def test_what_no_station_says(function: int, body: str, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        read(function, body)


def test_its_frame_is_strict() -> None:
    for place, byte, why in (
        (0, 0x7F, "begin with 7E7E"),
        (11, 0x10, "direction 1"),
        (13, 0x01, "02 or 16"),
        (-3, 0x05, "up ends with 03 or 17"),
        (-1, 0x00, "computed 20FA"),
        (20, 0x61, "computed"),
    ):
        bad = bytearray(TEST)
        bad[place] = byte
        with pytest.raises(FrameError, match=why):
            sl651.decode(bytes(bad))
    with pytest.raises(FrameError, match="hexadecimal digits only"):
        sl651.decode(b"\x01" + TEST)
    with pytest.raises(FrameError, match="is no time"):
        sl651.decode(sl651.encode(Message(True, 1, "00" * 5, 0, 0x2F, bytes(8), 3)))


def test_what_a_centre_says() -> None:
    asked = read(0x38, "26112500 26112600 0418 000100 1A19", up=False)
    assert asked.content["asked"] == [{"id": "1A", "name": "rain of 1 hour"}]
    assert asked.content["step_seconds"] == 3600
    assert asked.content["from"] == "2026-11-25T00:00:00+08:00"
    assert read(0x3A, "3923 3812", up=False).content["asked"][0]["name"] == "water level"
    assert read(0x49, "0310 1234 0310 5678", up=False).content["passwords"] == ["1234", "5678"]
    assert read(0x4C, "01 05", up=False).content["on"][:3] == [True, False, True]
    gates = read(0x4E, "02 01 0150 0000", up=False).content
    assert gates == {"on": [True, False], "openings_cm": ["0150", "0000"]}
    assert read(0x4F, "FF", up=False).content["fixed_amount"] == "on"
    assert read(0x37, "", up=False).content == {}
    with pytest.raises(FrameError, match="does not belong"):
        read(0x47, "9800", up=False)


def test_answers() -> None:
    test = sl651.decode(TEST)
    answered = sl651.answer(test)
    assert answered is not None
    assert answered.hex().upper() == "7E7E00123456780112343080080200035910111549471B75D4"
    assert sl651.answer(sl651.decode(answered)) is None
    assert sl651.answer(read(0x2F, "")) is None
    more = sl651.decode(frame(0x32, STATION + "48 3923 00000127", end=0x17))
    assert sl651.decode(sl651.answer(more) or b"").end == 0x06
    assert sl651.decode(sl651.answer(read(0x37, STATION + "48")) or b"").end == 0x04
    mine = sl651.decode(sl651.answer(test, end=0x04, at=SENT) or b"")
    assert (mine.end, mine.sent, mine.serial) == (0x04, SENT, 3)


@given(st.binary(min_size=1, max_size=2000), st.integers(20, 400), st.randoms())
def test_packets_are_joined_in_any_order(picture: bytes, limit: int, chance: object) -> None:
    body = bytes.fromhex(HEAD + STATION + "48 F0F0 2611260815 F3F3") + picture
    whole = Message(True, 1, "0012345678", 0x1234, 0x36, body, 3)
    parts = sl651_packets.split(whole, limit)
    frames = [sl651.encode(part) for part in parts]
    chance.shuffle(frames)  # type: ignore[attr-defined]
    joiner = sl651_packets.Assembler()
    got = [joiner.take(sl651.decode(one)) for one in frames]
    assert got[:-1] == [None] * (len(parts) - 1)
    last = got[-1]
    assert last is not None
    assert last.body == body
    assert last.content["elements"] == [
        {"id": "F3", "key": "PIC", "name": "picture", "bytes": len(picture),
         "jpeg": picture[:3] == b"\xff\xd8\xff"}
    ]  # fmt: skip


def test_a_lost_packet_is_asked_for_again() -> None:
    pictures = [one for one in legacy_fuzz.examples("sl651") if one[10] == 0x36]
    first, second = (sl651.decode(one) for one in pictures[:2])
    assert first.part == (1, 13)
    joiner = sl651_packets.Assembler()
    assert joiner.take(first) is None
    assert joiner.missing(second) == list(range(2, 14))
    body = bytes.fromhex(HEAD + STATION + "48 F0F0 2611260815 F3F3" + "00" * 100)
    parts = sl651_packets.split(Message(True, 1, "0012345678", 1, 0x36, body, 3), 60)
    joiner = sl651_packets.Assembler()
    assert joiner.take(parts[0]) is None
    assert sl651_packets.answer(parts[0], None, [], SENT) is None
    last = parts[-1]
    assert joiner.take(last) is None
    again = sl651_packets.answer(last, None, joiner.missing(last), SENT)
    refused = sl651.decode(again or b"")
    assert (refused.end, refused.part) == (0x15, (2, len(parts)))
    whole = joiner.take(parts[1]) if len(parts) == 3 else None
    for part in parts[2:-1]:
        whole = joiner.take(part)
    done = sl651.decode(sl651_packets.answer(last, whole, [], SENT) or b"")
    assert (done.end, done.part) == (0x04, (len(parts), len(parts)))


def ascii_frame(function: int, text: str, *, up: bool = True) -> bytes:
    raw = ("0003261126081530" + text).encode()
    end = 3 if up else 5
    return sl651.encode(Message(up, 1, "0012345678", 0x1234, function, raw, end, ascii=True))


def test_the_same_in_ascii() -> None:
    text = "ST 0012345678 H TT 2611260815 PJ 0.5 Z -0.127 VT M "
    message = sl651.decode(ascii_frame(0x30, text))
    assert (message.serial, message.sent, message.ascii) == (3, SENT, True)
    assert [(one.key, one.value, one.unit) for one in message.readings] == [
        ("PJ", "0.5", "mm"),
        ("Z", "-0.127", "m"),
    ]
    assert message.notes == ("VT: missing",)
    answered = sl651.answer(message)
    assert answered is not None
    assert answered[:1] == b"\x01"
    told = sl651.decode(answered)
    assert (told.up, told.serial, told.end, told.body) == (False, 3, 0x1B, b"0003261126081530")
    split = sl651.splitter()
    frames = [ascii_frame(0x30, text), TEST, answered]
    assert split.feed(b"".join(frames)) == frames


@pytest.mark.parametrize(
    ("text", "values", "is_cut"),
    [
        ("PJ 0.5 Z 0.12", ["0.5"], True),  # 7 may follow
        ("PJ 0.5 Z", ["0.5"], True),
        ("PJ 0.5 Z ", ["0.5"], True),
        ("PJ 0.5 Z 0.127 ", ["0.5", "0.127"], False),
    ],
)
def test_in_ascii_the_half_of_a_value_is_none(text: str, values: list[str], is_cut: bool) -> None:
    raw = ("0003261126081530ST 0012345678 H TT 2611260815 " + text).encode()
    end = 0x17
    message = sl651.decode(
        sl651.encode(Message(True, 1, "0012345678", 0x1234, 0x30, raw, end, ascii=True))
    )
    assert [one.value for one in message.readings] == values
    assert (sl651_body.CUT in message.notes) == is_cut


def test_a_series_in_ascii_has_a_value_of_each_element_at_a_time() -> None:
    text = "ST 0012345678 H TT 2611260800 DRH01 Z VA 1.5 0.30 M 0.31 "
    message = sl651.decode(ascii_frame(0x31, text))
    assert [(one.key, one.value, one.time and one.time.hour) for one in message.readings] == [
        ("Z", "1.5", 8),
        ("VA", "0.30", 8),
        ("VA", "0.31", 9),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("TT 2611260815 Z 0.1 ", "no station's ST"),
        ("ST 0012345678 H TT 2613260815 ", "is no time"),
        ("ST 0012345678 H XX 1 ", "no identifier: 'XX'"),
        ("ST 0012345678 H Z 1e5 ", "Z 1e5: no number"),
        ("ST 0012345678 H Z ", "Z is missing"),
        ("ST 00123 H ", "has 10 digits"),
        ("ST 0012345678 H DRP 00 ", "DRP has 24 hexadecimal digits"),
    ],
)
def test_what_no_station_says_in_ascii(text: str, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        sl651.decode(ascii_frame(0x32, text))


@given(st.binary(min_size=1, max_size=600), st.integers(20, 200))
def test_a_picture_in_ascii_is_joined(picture: bytes, limit: int) -> None:
    text = b"0003261126081530ST 0012345678 H TT 2611260815 PIC " + picture
    whole = Message(True, 1, "0012345678", 0x1234, 0x36, text, 3, ascii=True)
    joiner = sl651_packets.Assembler()
    last = None
    for part in sl651_packets.split(whole, limit):
        last = joiner.take(sl651.decode(sl651.encode(part)))
    assert last is not None
    assert last.content["elements"][0]["bytes"] == len(picture)
