"""Frames out of streams: in any pieces, behind garbage, behind a frame whose length lies."""

import itertools

import legacy_fuzz
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.legacy.protocols import crc, dlt645, hj212, sl651
from fleet.legacy.protocols.catalogue import NAMES, codec
from fleet.legacy.protocols.frame import Garbage

WITH_LENGTH = [name for name in NAMES if name != "modbus"]


def frames_of(protocol: str) -> list[bytes]:
    made = [data.lstrip(b"\xfe") for data in legacy_fuzz.examples(protocol)]
    if protocol == "modbus":  # its splitter is for replies
        return [codec(protocol).encode(codec(protocol).decode(one)) for one in made[1:3]]
    return made


def split(protocol: str, pieces: list[bytes]) -> tuple[list[bytes], bytes]:
    """(frames, garbage) of a stream that comes in pieces and then is silent."""
    splitter = codec(protocol).splitter()
    out = [one for piece in pieces for one in splitter.feed(piece)] + splitter.flush()
    good = [one for one in out if isinstance(one, bytes)]
    return good, b"".join(one.data for one in out if isinstance(one, Garbage))


@pytest.mark.parametrize("protocol", NAMES)
@given(data=st.data())
def test_any_pieces_give_the_same_frames(protocol: str, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(frames_of(protocol)), min_size=1, max_size=4))
    between = {"cjt188": b"\xfe\xfe\xfe", "dlt645": b"\xfe", "hj212": b"\r\n"}.get(protocol, b"")
    stream = between.join(chosen)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    places = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert split(protocol, pieces) == (chosen, b"")


@pytest.mark.parametrize("protocol", NAMES)
@given(garbage=st.binary(max_size=40), data=st.data())
def test_a_frame_behind_garbage_is_found(
    protocol: str, garbage: bytes, data: st.DataObject
) -> None:
    frame = data.draw(st.sampled_from(frames_of(protocol)))
    good, lost = split(protocol, [garbage + frame + frame])
    # Two bytes of garbage may be a check's luck, or swallow the first frame; never both.
    assert frame in good
    assert len(b"".join(good)) + len(lost) <= len(garbage) + 2 * len(frame)


@pytest.mark.parametrize("protocol", WITH_LENGTH)
def test_a_damaged_frame_takes_no_other_with_it(protocol: str) -> None:
    frame = frames_of(protocol)[0]
    for place in range(len(frame)):
        bad = bytearray(frame)
        bad[place] ^= 0x55
        good, _ = split(protocol, [bytes(bad), frame, frame])
        assert good[-2:] == [frame, frame], place


def test_marks_inside_a_frame_do_not_cut_it() -> None:
    body = bytes.fromhex("7E7E 261126081530")  # the serial number is 7E7E
    keep = sl651.Message(True, 1, "7E7E7E7E7E", 0x7E7E, 0x2F, body, 3)
    frame = sl651.encode(keep)
    assert split("sl651", [frame[:7], frame[7:] + frame]) == ([frame, frame], b"")
    marks = dlt645.MeterFrame("686868686868", 0x91, bytes.fromhex("000001003516E335"), {}, ())
    frame = dlt645.encode(marks)
    assert split("dlt645", [frame * 3]) == ([frame] * 3, b"")
    data = b"ST=32;CN=2011;PW=123456;MN=##0101;CP=&&A=##0101&&"
    packet = b"##%04d%b%04X\r\n" % (len(data), data, crc.hj212(data))
    assert split("hj212", [packet * 2]) == ([packet] * 2, b"")


@pytest.mark.parametrize("protocol", NAMES)
@pytest.mark.parametrize("flood", [b"\x7e", b"\x68", b"##1024", b"\xfe", b"\x01\x03\xfa"])
def test_a_flood_is_held_back_by_a_frame_at_most(protocol: str, flood: bytes) -> None:
    splitter = codec(protocol).splitter()
    given = flood * (20_000 // len(flood))
    out = splitter.feed(given) + splitter.flush()
    assert all(isinstance(one, Garbage) for one in out)
    assert len(splitter._held) == 0
    assert sum(len(one.data) for one in out if isinstance(one, Garbage)) <= len(given)


def test_a_tolerated_check_splits_only_where_it_is_tolerated() -> None:
    plain = hj212.decode(legacy_fuzz.examples("hj212")[0])
    data = hj212.encode(plain)[6:-6]
    packet = b"##%04d%b%04X\r\n" % (len(data), data, crc.modbus(data))
    assert [type(one) for one in hj212.splitter().feed(packet)] == [Garbage]
    assert hj212.splitter(hj212.MODBUS_CRC).feed(packet) == [packet]
