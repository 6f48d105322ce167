"""CoAP messages of the node: every one round, nothing else taken, and aiocoap of one mind."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiocoap import Message
from aiocoap.error import UnparsableMessage
from aiocoap.message import Direction
from aiocoap.numbers.optionnumbers import OptionNumber
from hypothesis import example, given, settings
from hypothesis import strategies as st
from node.wire import coap

ROOT = Path(__file__).parents[3]

KINDS = st.integers(0, 3)
CODES = st.integers(1, 255)
MIDS = st.integers(0, 0xFFFF)
TOKENS = st.binary(max_size=8)
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, 0xFFFF))
VALUES = st.one_of(st.binary(max_size=15), st.binary(max_size=300))
# aiocoap reads the value of these as bytes, so that none is written shorter than it came.
OPAQUE = st.sampled_from([4, 9, 252, 1000, 2049, 65001])


def sorted_options(numbers: Any) -> Any:
    pairs = st.lists(st.tuples(numbers, VALUES), max_size=4)
    return pairs.map(lambda options: sorted(options, key=lambda pair: pair[0]))


@given(KINDS, CODES, MIDS, TOKENS, sorted_options(NUMBERS), st.binary(max_size=40))
@settings(max_examples=400)
@example(0, 2, 0, b"", [(12, b""), (25, bytes(12)), (25, bytes(13)), (294, bytes(268))], b"")
@example(0, 2, 0, b"", [(13, bytes(269)), (282, b""), (551, b""), (65535, bytes(300))], b"\xff")
def test_what_is_encoded_is_decoded(
    kind: int, code: int, mid: int, token: bytes, options: list[tuple[int, bytes]], payload: bytes
) -> None:
    raw = coap.encode(kind, code, mid, token, options, payload)
    if len(raw) <= coap.MAX_BYTES:
        assert coap.decode(raw) == (kind, code, mid, token, options, payload)
    else:
        with pytest.raises(coap.CoapFormatError):
            coap.decode(raw)


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=36).map(lambda b: b"\x40\x02" + b)))
@settings(max_examples=600)
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        kind, code, mid, token, options, payload = coap.decode(data)
    except coap.CoapFormatError:
        return
    assert 0 <= kind <= 3
    assert len(token) <= 8
    assert all(0 <= number <= 0xFFFF for number, _ in options)
    again = coap.encode(kind, code, mid, token, options, payload)
    assert coap.decode(again) == (kind, code, mid, token, options, payload)
    assert len(again) <= len(data)  # what is encoded here is the shortest


@given(KINDS, CODES, MIDS, TOKENS, sorted_options(OPAQUE), st.binary(max_size=40))
@settings(max_examples=200)
def test_aiocoap_writes_the_same_bytes(
    kind: int, code: int, mid: int, token: bytes, options: list[tuple[int, bytes]], payload: bytes
) -> None:
    message = Message(code=code, payload=payload, _mtype=kind, _mid=mid, _token=token)
    message.direction = Direction.OUTGOING
    for number, value in options:
        message.opt.add_option(OptionNumber(number).create_option(decode=value))
    assert coap.encode(kind, code, mid, token, options, payload) == message.encode()


@given(
    st.one_of(
        st.binary(min_size=4, max_size=40),
        st.builds(
            lambda head, tail: bytes((0x40 | head, 2, 0, 1)) + tail,
            st.integers(0, 0x3F),
            st.binary(max_size=30),
        ),
    )
)
@settings(max_examples=500)
def test_aiocoap_reads_the_same_of_what_both_take(data: bytes) -> None:
    try:
        kind, code, mid, token, options, payload = coap.decode(data)
    except coap.CoapFormatError:
        return
    try:
        message = Message.decode(data)
    except (UnparsableMessage, ValueError):
        # aiocoap looks into the values too; of the frame it must think the same.
        assert options
        return
    assert (message.mtype, message.code, message.mid) == (kind, code, mid)
    assert (message.token, message.payload) == (token, payload)
    assert [int(o.number) for o in message.opt.option_list()] == [n for n, _ in options]


REFUSED = [
    ("nothing", ""),
    ("a header cut short", "400200"),
    ("version 0", "00020001"),
    ("version 2", "80020001"),
    ("a token of 9 bytes", "4902000100000000000000000000"),
    ("a token of 15 bytes", "4f020001" + "00" * 20),
    ("a token cut short", "44020001aabbcc"),
    ("an empty message with a token", "41000001aa"),
    ("an empty message with a payload", "40000001ff01"),
    ("a payload marker and no payload", "40020001ff"),
    ("a payload marker behind an option", "4002000110ff"),
    ("an option delta of 15 that is no marker", "40020001f1aa"),
    ("an option length of 15", "400200011f"),
    ("an option whose value is cut short", "4002000112aa"),
    ("an extended delta cut short", "40020001d0"),
    ("a long delta cut short", "40020001e001"),
    ("an extended length cut short", "400200011d"),
    ("a long length cut short", "400200011e01"),
    ("a length of 65,804 bytes", "400200011effff"),
    ("an option number over 65,535", "40020001e0fef3" + "10"),
    ("an option number over 65,535 at once", "40020001e0ffff"),
    ("over 1,152 bytes", "40020001ff" + "00" * (coap.MAX_BYTES - 4)),
]


@pytest.mark.parametrize(("why", "data"), REFUSED)
def test_refused(why: str, data: str) -> None:
    with pytest.raises(coap.CoapFormatError):
        coap.decode(bytes.fromhex(data))


def test_the_largest_message_and_option_number_are_taken() -> None:
    assert len(coap.decode(bytes.fromhex("40020001ff") + bytes(coap.MAX_BYTES - 5))[5]) == 1147
    assert coap.decode(bytes.fromhex("40020001e0fef2"))[4] == [(65535, b"")]
    assert coap.decode(bytes.fromhex("70000001")) == (coap.RST, 0, 1, b"", [], b"")


def test_the_first_of_several_options_is_found() -> None:
    options = [(4, b"a"), (11, b"b"), (11, b"c")]
    assert [coap.find(options, n) for n in (4, 11, 12)] == [b"a", b"b", None]


def test_the_vm_agrees(micropython: list[str], tmp_path: Path) -> None:
    messages: list[list[Any]] = [
        [kind, code, mid, token, options, payload]
        for kind, code, mid, token, options, payload in (
            (0, 2, 0, "", [], ""),
            (2, 0x44, 65535, "", [[9, ""]], "00" * 9),
            (1, 1, 0x1234, "0102030405060708", [[11, "64"], [11, "31"], [23, "05"]], ""),
            (0, 2, 7, "", [[12, "00" * 12], [281, "00" * 13], [65535, "aa" * 300]], "ff"),
        )
    ]
    raws = [
        coap.encode(k, c, m, bytes.fromhex(t), [(n, bytes.fromhex(v)) for n, v in o],
                    bytes.fromhex(p)).hex()
        for k, c, m, t, o, p in messages
    ]  # fmt: skip
    cases = tmp_path / "cases.json"
    cases.write_text(
        json.dumps(
            {
                "round": [[m, r] for m, r in zip(messages, raws, strict=True)],
                "refused": [data for _, data in REFUSED],
            }
        )
    )
    script = str(ROOT / "tests" / "vm" / "coap_check.py")
    done = subprocess.run(
        [*micropython, script, str(ROOT / "firmware"), str(cases)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == {"ran": len(messages) + len(REFUSED), "differ": []}
