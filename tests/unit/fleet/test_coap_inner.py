"""What may stand inside a protected request, and what is said to all else."""

import pytest
from aiocoap import GET, POST, PUT, Message
from aiocoap.numbers import codes
from hypothesis import given
from hypothesis import strategies as st

from fleet.coap import inner
from fleet.coap.blocks import Block
from fleet.coap.inner import RefusedError


def plain(code: int = POST, payload: bytes = b"", **options: object) -> bytes:
    """As a node's OSCORE layer makes it."""
    message = Message(code=code, payload=payload, **options)
    raw: bytes = bytes([code]) + message.opt.encode()
    return raw + b"\xff" + payload if payload else raw


def refusal(raw: bytes) -> codes.Code:
    """The code that refuses it."""
    with pytest.raises(RefusedError) as caught:
        assert inner.read(raw).fetched is not None
    return caught.value.code


def test_a_report_a_poll_and_a_fetch() -> None:
    assert inner.read(plain(payload=b"report")).payload == b"report"
    assert inner.read(plain()).fetched is None
    fetch = inner.read(plain(GET, uri_path=("d", "77"), block2=(3, False, 2)))
    assert (fetch.fetched, fetch.block2) == (("d", 77), Block(3, False, 64))
    block = inner.read(plain(GET, uri_path=("u", "77"), block2=(1, False, 5)))
    assert (block.fetched, block.block2) == (("u", 77), Block(1, False, 512))
    assert inner.read(plain(echo=b"e", payload=b"x")).echo == b"e"
    assert inner.read(plain(payload=bytes(64), block1=(1, True, 2))).block1 == Block(1, True, 64)


def test_elective_options_are_passed_over() -> None:
    found = inner.read(plain(payload=b"x", content_format=60, no_response=26, size1=9, observe=0))
    assert found.payload == b"x"
    assert found.fetched is None


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (plain(accept=60), codes.BAD_OPTION),
        (plain(uri_query=("a",)), codes.BAD_OPTION),
        (plain(if_match=(b"x",)), codes.BAD_OPTION),
        (plain() + b"\x71\x01\x01\x02", codes.BAD_OPTION),  # Uri-Port, unknown inside
        (plain(block2=(0, False, 2)), codes.BAD_OPTION),  # a receipt is one block
        (plain(GET, uri_path=("d", "1"), block1=(0, False, 2)), codes.BAD_OPTION),
        (plain(block1=(0, True, 6)) + b"\x01\x08" + b"\xff" + bytes(16), codes.BAD_OPTION),
        (plain() + b"\xd1\x0e\x07\xff" + bytes(16), codes.BAD_OPTION),  # Block1 of SZX 7
        (plain() + b"\xff", codes.BAD_OPTION),
        (plain() + b"\xb1\xff", codes.BAD_OPTION),  # Uri-Path that is not UTF-8
        (plain(payload=bytes(15), block1=(0, True, 0)), codes.BAD_REQUEST),
        (plain(payload=bytes(17), block1=(0, False, 0)), codes.BAD_REQUEST),
        (plain(GET), codes.METHOD_NOT_ALLOWED),
        (plain(PUT), codes.METHOD_NOT_ALLOWED),
        (plain(0), codes.METHOD_NOT_ALLOWED),
        (plain(69), codes.METHOD_NOT_ALLOWED),
        (plain(POST, uri_path=("d", "1")), codes.METHOD_NOT_ALLOWED),
        (plain(GET, uri_path=("x",)), codes.NOT_FOUND),
        (plain(GET, uri_path=("d",)), codes.NOT_FOUND),
        (plain(GET, uri_path=("d", "1", "2")), codes.NOT_FOUND),
        (plain(GET, uri_path=("u", "0")), codes.NOT_FOUND),
        (plain(POST, uri_path=("u", "1")), codes.METHOD_NOT_ALLOWED),
        (plain(GET, uri_path=("d", "-1")), codes.NOT_FOUND),
        (plain(GET, uri_path=("d", "0")), codes.NOT_FOUND),
        (plain(GET, uri_path=("d", "²")), codes.NOT_FOUND),
        (plain(GET, uri_path=("d", "2147483648")), codes.NOT_FOUND),
        (plain(GET, uri_path=("d", "9" * 200)), codes.NOT_FOUND),
    ],
)
def test_all_else_is_refused_by_its_code(raw: bytes, code: codes.Code) -> None:
    assert refusal(raw) == code


@given(st.binary(min_size=1, max_size=60))
def test_any_plaintext_is_a_request_or_refused(raw: bytes) -> None:
    try:
        fetched = inner.read(raw).fetched
    except RefusedError:
        return
    assert fetched is None or (fetched[0] in ("d", "u") and 0 < fetched[1] < 1 << 31)


@given(st.binary(max_size=3000), st.integers(0, 6))
def test_an_item_in_blocks_is_the_item(payload: bytes, size_exponent: int) -> None:
    size = 16 << size_exponent
    got = b""
    for number in range(-(-len(payload) // size)):
        raw = inner.part(payload, Block(number, False, size))
        message = Message(code=raw[0])
        got += message.opt.decode(raw[1:])
        assert message.opt.block2.block_number == number
        assert message.opt.block2.more == (len(got) < len(payload))
    assert got == payload
    with pytest.raises(RefusedError, match=r"4\.00"):
        inner.part(payload, Block(-(-len(payload) // size), False, size))


def test_a_piece_tells_whether_more_follow_and_of_what_it_is() -> None:
    raw = inner.piece(bytes(512), 1500, b"manifest", Block(1, False, 512))
    message = Message(code=raw[0])
    assert message.opt.decode(raw[1:]) == bytes(512)
    block = message.opt.block2
    assert (block.block_number, block.more, block.size) == (1, True, 512)
    assert message.opt.etag == b"manifest"
    raw = inner.piece(bytes(476), 1500, b"manifest", Block(2, False, 512))
    message.opt.decode(raw[1:])
    with pytest.raises(RefusedError, match=r"4\.02"):
        inner.piece(b"", 1500, b"manifest", Block(3, False, 512))


def test_an_item_that_fits_comes_whole_where_no_block_is_asked_for() -> None:
    assert inner.part(b"item", None) == bytes([codes.CONTENT]) + b"\xffitem"
    assert len(inner.part(bytes(1500), None)) == 1 + 3 + 1 + 1024
