"""The first look at a datagram: total, bounded, and it reads as aiocoap does."""

import contextlib

import pytest
from aiocoap import Message, error
from aiocoap.numbers.optionnumbers import OptionNumber
from hypothesis import example, given
from hypothesis import strategies as st

from fleet.coap import datagram
from fleet.coap.datagram import MalformedError

POST = b"\x40\x02\x12\x34"


def encoded_option(delta: int, length: int) -> bytes:
    """One option head, whatever it says, and as many zeros."""

    def nibble(n: int) -> tuple[int, bytes]:
        if n < 13:
            return n, b""
        return (13, bytes((n - 13,))) if n < 269 else (14, (n - 269).to_bytes(2, "big"))

    (d, more_d), (n, more_n) = nibble(delta), nibble(length)
    return bytes((d << 4 | n,)) + more_d + more_n + bytes(length)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: POST + tail))
@example(b"")
@example(POST)
@example(POST + b"\xff")
@example(POST + b"\xf0")
@example(POST + b"\x0f")
def test_any_bytes_are_a_request_or_refused_and_aiocoap_takes_what_is_let_in(data: bytes) -> None:
    try:
        datagram.check(data)
    except MalformedError:
        return
    try:
        message = Message.decode(data)
    except UnicodeDecodeError:
        return  # of a text option: the server refuses that too
    assert message.code.is_request()
    found = datagram.options(data, 4 + len(message.token))
    assert found.payload == message.payload
    numbers = [int(option.number) for option in message.opt.option_list()]
    assert [number for number, _ in found.options] == numbers


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 300)), max_size=4),
    st.binary(max_size=20),
)
def test_options_are_read_as_they_were_written(
    drawn: list[tuple[int, int]], payload: bytes
) -> None:
    raw = b"".join(encoded_option(delta, length) for delta, length in drawn)
    found = datagram.options(raw + (b"\xff" + payload if payload else b""), 0)
    numbers, at = [], 0
    for delta, _ in drawn:
        at += delta
        numbers.append(at)
    assert [number for number, _ in found.options] == numbers
    assert [len(value) for _, value in found.options] == [length for _, length in drawn]
    assert found.payload == payload


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(POST[:3], id="too short"),
        pytest.param(POST + bytes(1300), id="too long"),
        pytest.param(b"\x00" + POST[1:], id="version 0"),
        pytest.param(b"\x60" + POST[1:], id="an acknowledgement"),
        pytest.param(b"\x70" + POST[1:], id="a reset"),
        pytest.param(b"\x49" + POST[1:] + bytes(9), id="a token of 9 bytes"),
        pytest.param(b"\x44" + POST[1:] + b"ab", id="half a token"),
        pytest.param(b"\x40\x00\x12\x34", id="empty"),
        pytest.param(b"\x40\x44\x12\x34", id="a response"),
        pytest.param(b"\x40\x20\x12\x34", id="code class 1"),
        pytest.param(POST + b"\xff", id="a marker without a payload"),
        pytest.param(POST + b"\xe0\xff\xff", id="option number 65,804"),
        pytest.param(POST + b"\x10" * 17, id="17 options"),
        pytest.param(POST + b"\x0d", id="half an option head"),
        pytest.param(POST + b"\x02a", id="half an option"),
    ],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        datagram.check(raw)


def test_a_ping_is_answered_by_four_bytes() -> None:
    assert datagram.is_ping(b"\x40\x00\xab\xcd")
    assert not datagram.is_ping(b"\x50\x00\xab\xcd")
    assert datagram.reset(b"\x40\x00\xab\xcd") == b"\x70\x00\xab\xcd"


def numbers_of(datagrams: list[bytes]) -> int:
    """How many option numbers aiocoap remembers more, once it has decoded these."""
    known = OptionNumber._value2member_map_
    before = len(known)
    for raw in datagrams:
        with contextlib.suppress(error.UnparsableMessage):
            Message.decode(raw)
    added = list(known)[before:]
    for number in added:
        del known[number]
    return len(added)


def rising(first: int) -> bytes:
    """Options with ever higher numbers, as many as a datagram takes."""
    return POST + encoded_option(65_000 - first, 0) + encoded_option(65_000, 0) * 300


def test_attack_option_numbers_without_end_stay_outside() -> None:
    for n in range(20):
        with pytest.raises(MalformedError):
            datagram.check(rising(n))


def test_sabotage_without_the_look_aiocoap_remembers_each_number() -> None:
    assert numbers_of([rising(n) for n in range(20)]) > 5000
