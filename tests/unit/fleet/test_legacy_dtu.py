"""DTU boxes: who they are, heartbeats between answers, and never bytes of a meter for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.legacy.protocols.dtu import (
    MAX_OPENING,
    BadPattern,
    Heartbeat,
    Line,
    Registered,
    pattern,
)
from fleet.legacy.protocols.frame import Garbage

IMEI = b"490154203237518"
METER = bytes.fromhex("FE FE 68 10 44 33 22 11 00 33 78 81 16")


@pytest.mark.parametrize(
    ("kind", "sent", "identity"),
    [
        ("imei", IMEI, "490154203237518"),
        ("imei", b"IMEI:" + IMEI + b"\r\n", "490154203237518"),
        ("phone", b"13800138000", "13800138000"),
        ("phone", b"+8613800138000\0", "13800138000"),
        ("text", b"GZ-PUMP-07\r\n", "GZ-PUMP-07"),
        ("text", b"GZ-PUMP-07", "GZ-PUMP-07"),
    ],
)
def test_a_box_says_who_it_is(kind: str, sent: bytes, identity: str) -> None:
    line = Line(pattern(kind))
    out = line.feed(sent, answer_due=False) or line.flush()
    assert out[0] == line.registered
    assert isinstance(line.registered, Registered)
    assert (line.registered.kind, line.registered.identity) == (kind, identity)


@pytest.mark.parametrize(
    ("kind", "opening", "first", "rest", "identity"),
    [
        ("text", "", b"BOX-10", b"24\r\n", "BOX-1024"),
        ("text", "", b"BOX-10", b"24", "BOX-1024"),
        ("text", "REG,(?P<id>[0-9]+)", b"REG,10", b"24", "1024"),
        ("phone", "", b"+86", b"13800138000", "13800138000"),
    ],
)
def test_what_a_network_cuts_in_two_is_one_identity(
    kind: str, opening: str, first: bytes, rest: bytes, identity: str
) -> None:
    line = Line(pattern(kind, opening))
    assert line.feed(first, answer_due=False) == []
    assert line.is_holding
    out = line.feed(rest, answer_due=False) or line.flush()
    assert [one.identity for one in out if isinstance(one, Registered)] == [identity]
    assert not line.is_holding


def test_what_cannot_go_on_needs_no_silence() -> None:
    line = Line(pattern("imei"))
    assert line.feed(IMEI, answer_due=False) == [Registered("imei", IMEI.decode(), IMEI)]


def test_it_may_come_in_pieces_and_with_a_heartbeat_behind_it() -> None:
    line = Line(pattern("imei"))
    assert line.feed(IMEI[:7], answer_due=False) == []
    out = line.feed(IMEI[7:] + b"\r\nPING", answer_due=False)
    assert [type(one) for one in out] == [Registered, Heartbeat]
    assert line.feed(IMEI, answer_due=False) == [Heartbeat(IMEI)]


def test_a_wrong_check_digit_and_a_flood_are_garbage() -> None:
    line = Line(pattern("imei"))
    out = line.feed(IMEI[:-1] + b"9", answer_due=False)
    assert isinstance(out[0], Garbage)
    assert line.registered is None
    flood = line.feed(b"\x00" * (MAX_OPENING + 1), answer_due=False)
    assert [type(one) for one in flood] == [Garbage]
    assert line.feed(IMEI, answer_due=False) != []


def test_a_meters_bytes_are_no_heartbeat_while_an_answer_is_due() -> None:
    line = Line(pattern("imei", heartbeats=(b"\xfe",)))
    line.feed(IMEI, answer_due=False)
    assert line.feed(METER, answer_due=True) == [METER]
    assert line.feed(b"\xfe", answer_due=False) == [Heartbeat(b"\xfe")]
    assert [type(one) for one in line.feed(METER[2:], answer_due=False)] == [Garbage]


def test_a_pattern_of_a_maker() -> None:
    line = Line(pattern("text", r"\$REG,(?P<id>[0-9A-F]{8})#", (b"$HB#",)))
    out = line.feed(b"$REG,00A1B2C3#$HB#", answer_due=False)
    assert out == [Registered("text", "00A1B2C3", b"$REG,00A1B2C3#"), Heartbeat(b"$HB#")]
    for bad in ("(", "no group"):
        with pytest.raises(BadPattern):
            pattern("text", bad)
    with pytest.raises(BadPattern, match="no kind mac"):
        pattern("mac")
    with pytest.raises(BadPattern, match="heartbeat"):
        pattern("text", heartbeats=(b"",))


@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
def test_any_bytes_are_something(pieces: list[bytes], due: bool) -> None:
    line = Line(pattern("text"))
    for piece in pieces:
        for one in line.feed(piece, due):
            assert isinstance(one, Registered | Heartbeat | Garbage | bytes)
        assert len(line._opening) <= MAX_OPENING + 200
