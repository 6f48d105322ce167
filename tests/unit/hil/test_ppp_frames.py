"""PPP's frames on an asynchronous line: RFC 1662, and a frame that a real module sent."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from hil.virtual.shims import _hdlc

LCP = 0xC021
# A module's first LCP request, as micropython issue 7021 shows it.
REAL = b'~\xff}#\xc0!}!}!} }2}"}&} }*} } }#}$\xc0#}\'}"}(}"U\x83~'


def frames(pieces: Iterable[bytes], accm: int = 0xFFFFFFFF) -> list[tuple[int, bytes]]:
    """What a receiver makes of these bytes."""
    found: list[tuple[int, bytes]] = []
    deframer = _hdlc.Deframer(lambda protocol, payload: found.append((protocol, payload)))
    deframer.accm = accm
    for piece in pieces:
        deframer.feed(piece)
    return found


def framed(body: bytes) -> bytes:
    """Address to payload between flags, with its FCS."""
    fcs = _hdlc.fcs16(body) ^ 0xFFFF
    line = b""
    for byte in body + bytes((fcs & 0xFF, fcs >> 8)):
        line += (
            bytes((0x7D, byte ^ 0x20)) if byte < 0x20 or byte in (0x7D, 0x7E) else bytes((byte,))
        )
    return b"~" + line + b"~"


def test_fcs_of_rfc_1662() -> None:
    # The first, second and last entries of its table; the good value; CRC-16/X-25's check value.
    assert [_hdlc.fcs16(bytes((n,)), 0) for n in (0, 1, 255)] == [0x0000, 0x1189, 0x0F78]
    fcs = _hdlc.fcs16(b"123456789") ^ 0xFFFF
    assert fcs == 0x906E
    assert _hdlc.fcs16(b"123456789" + fcs.to_bytes(2, "little")) == 0xF0B8


def test_a_real_modules_frame_is_read_and_would_be_written_so() -> None:
    packet = bytes.fromhex("010100120206000a00000304c02307020802")
    assert frames([REAL]) == [(LCP, packet)]
    assert _hdlc.frame(LCP, packet) == REAL


@given(st.integers(0, 0x7FFF), st.binary(max_size=_hdlc.MRU), st.lists(st.integers(0, 3000)))
def test_any_payload_survives_any_split(number: int, payload: bytes, cuts: list[int]) -> None:
    protocol = (number << 1 | 1) & 0xFEFF
    line = _hdlc.frame(protocol, payload)
    ends = sorted({min(cut, len(line)) for cut in cuts} | {0, len(line)})
    pieces = [line[a:b] for a, b in pairwise(ends)]
    assert frames(pieces) == [(protocol, payload)]


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_taken_and_a_frame_behind_them_is_found(noise: list[bytes]) -> None:
    found = frames([*noise, b"~", _hdlc.frame(LCP, b"\x09\x01\x00\x04")])
    assert found[-1] == (LCP, b"\x09\x01\x00\x04")


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_flipped_bit_makes_no_frame(payload: bytes, data: st.DataObject) -> None:
    body = b"\xff\x03\xc0\x21" + payload
    line = bytearray(framed(body))
    at = data.draw(st.integers(1, len(line) - 2))
    was = line[at]
    line[at] ^= 1 << data.draw(st.integers(0, 7))
    # One that changes the number of octets is more than a flipped bit to the FCS.
    assume(was != 0x7D and line[at] not in (0x7D, 0x7E) and line[at] >= 0x20)
    assert frames([bytes(line)]) == []


def test_sabotage_without_the_fcs_the_flipped_bit_goes_through() -> None:
    line = bytearray(framed(b"\xff\x03\xc0\x21ABCDEF"))
    line[line.index(b"C")] ^= 1
    assert frames([bytes(line)]) == []
    good, _hdlc.fcs16 = _hdlc.fcs16, lambda *_: _hdlc.FCS_GOOD
    try:
        assert frames([bytes(line)]) == [(LCP, b"ABBDEF")]
    finally:
        _hdlc.fcs16 = good


def test_compressed_address_control_and_protocol() -> None:
    packet = b"\x45" + bytes(19)
    assert frames([framed(b"\xff\x03\x21" + packet)]) == [(0x21, packet)]
    assert frames([framed(b"\x21" + packet)]) == [(0x21, packet)]
    assert frames([framed(b"\x00\x21" + packet)]) == [(0x21, packet)]
    assert frames([framed(b"\x80\x21" + packet)]) == [(0x8021, packet)]


def test_what_is_no_frame_is_counted() -> None:
    deframer = _hdlc.Deframer(lambda *_: None)
    for line in (b"ATE0\r~", b"~~", b"~abc~", b"abcd\x7d~", framed(b"\xff\x03\xc0\x20x")):
        deframer.feed(line)
    assert deframer.bad == 3  # a runt, an abort, and a protocol that ends even
    deframer.feed(b"x" * 5000 + b"~")
    assert deframer.bad == 4


def test_control_characters_that_the_line_puts_in_are_no_data() -> None:
    line = framed(b"\xff\x03\xc0\x21\x01\x02")
    stuffed = b"".join(bytes((byte, 0x11)) for byte in line)
    assert frames([stuffed]) == [(LCP, b"\x01\x02")]
    assert frames([stuffed], accm=0) == []
