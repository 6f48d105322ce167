"""The node's OSCORE: its option, its contexts, and what is refused."""

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.errors import OscoreError
from node.link import oscore
from node.link.oscore_server import Server, Window
from oscore_peer import Peer, decoded

ROOT = Path(__file__).parents[3]
SECRET = bytes(range(16))
KID = b"\x0a\x0b\x0c"
REPORT = b"\x02\xff" + bytes(45)  # POST with a payload
DONE = b"\x44"


def counter(first: int = 0) -> Any:
    return itertools.count(first).__next__


def pair(first: int = 0, secret: bytes = SECRET) -> tuple[Any, Any]:
    return (
        oscore.Context(secret, KID, b"", counter(first)),
        Server(secret, b"", KID, counter()),
    )


def valid(option: bytes) -> tuple[bytes | None, bytes | None, bytes | None] | None:
    """The grammar of RFC 8613, 6.1, written down once more."""
    if not option:
        return None, None, None
    flags, rest = option[0], option[1:]
    size = flags & 7
    piv, rest = rest[:size], rest[size:]
    if flags == 0 or flags & 0xE0 or len(piv) < size or size > 5 or piv[:1] == b"\0" != piv:
        return None
    context = kid = None
    if flags & 0x10:
        if not rest or len(rest) <= rest[0]:
            return None
        context, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    if flags & 8:
        kid, rest = rest, b""
    return None if rest else (piv if size else None, context, kid)


OPTIONS = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda flags, size, rest: bytes((flags << 3 | size,)) + rest,
        st.integers(0, 3),
        st.integers(0, 6),
        st.binary(max_size=16),
    ),
)


@given(OPTIONS)
@settings(max_examples=500)
def test_any_bytes_are_an_option_by_the_grammar_or_refused(option: bytes) -> None:
    expected = valid(option)
    if expected is None:
        with pytest.raises(OscoreError):
            oscore.parse(option)
    else:
        assert oscore.parse(option) == expected


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("00", "flags 0x00"),  # all flags zero stands as an empty value only
        ("20", "flags 0x20"),
        ("80", "flags 0x80"),
        ("06010203040506", "flags 0x06"),
        ("0201", "2 bytes"),
        ("020001", "leading zeros"),
        ("020000", "leading zeros"),
        ("0114aa", "behind its fields"),
        ("1114", "kid context"),
        ("111408aabb", "kid context"),
    ],
)
def test_a_malformed_option_is_named(option: str, why: str) -> None:
    with pytest.raises(OscoreError, match=why):
        oscore.parse(bytes.fromhex(option))


@given(st.integers(0, (1 << 40) - 1), st.binary(max_size=7), st.none() | st.binary(max_size=40))
@settings(max_examples=50)
def test_the_option_of_a_request_says_what_the_context_is(
    number: int, sender: bytes, id_context: bytes | None
) -> None:
    context = oscore.Context(SECRET, sender, b"\x01", lambda: number, id_context=id_context)
    option, _, request = context.seal(REPORT)
    piv, told, kid = oscore.parse(option)
    assert (int.from_bytes(piv, "big"), told, kid) == (number, id_context, sender)
    assert request == (sender, piv)


@given(st.binary(min_size=1, max_size=120), st.binary(min_size=1, max_size=120), st.booleans())
def test_a_request_and_its_answer_come_through(asked: bytes, told: bytes, own: bool) -> None:
    client, server = pair()
    option, cipher, request = client.seal(asked)
    taken, plain = server.open_request(option, cipher)
    assert plain == asked
    option, cipher = server.seal_response(taken, told, own)
    assert (option == b"") != own
    assert client.open(request, option, cipher) == told


def test_a_report_of_45_bytes_takes_14_more_and_the_plain_answer_9() -> None:
    client, server = pair(300)
    option, cipher, _ = client.seal(REPORT)
    assert len(option) + len(cipher) == 45 + (1 + 2 + 3) + (1 + 1) + 8
    request, _ = server.open_request(option, cipher)
    option, cipher = server.seal_response(request, DONE)
    assert (option, len(cipher)) == (b"", 9)


@given(st.binary(max_size=10), st.binary(max_size=60))
def test_any_bytes_in_the_place_of_an_answer_are_refused(option: bytes, cipher: bytes) -> None:
    client, _ = pair()
    request = client.seal(REPORT)[2]
    with pytest.raises(OscoreError):
        client.open(request, option, cipher)


@given(st.integers(0, 71), st.booleans())
def test_an_answer_with_a_flipped_bit_is_refused(bit: int, own: bool) -> None:
    client, server = pair()
    option, cipher, request = client.seal(REPORT)
    option, cipher = server.seal_response(server.open_request(option, cipher)[0], DONE, own)
    flipped = bytearray(cipher)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(OscoreError):
        client.open(request, option, bytes(flipped))
    assert client.open(request, option, cipher) == DONE


def test_an_answer_to_another_request_is_refused() -> None:
    client, server = pair()
    first, second = client.seal(REPORT), client.seal(REPORT)
    answers = [
        server.seal_response(server.open_request(*sent[:2])[0], DONE, own)
        for sent, own in ((first, True), (second, False))
    ]
    for sent, answer in ((second, answers[0]), (first, answers[1])):
        with pytest.raises(OscoreError, match="verify"):
            client.open(sent[2], *answer)
    assert client.open(first[2], *answers[0]) == client.open(second[2], *answers[1]) == DONE


def test_without_the_binding_an_old_receipt_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: what the request's kid and Partial IV in the additional data are there for."""
    monkeypatch.setattr(oscore, "aad", lambda request: b"the same for all")
    client, server = pair()
    first, second = client.seal(REPORT), client.seal(REPORT)
    answer = server.seal_response(server.open_request(*first[:2])[0], DONE, own=True)
    assert client.open(second[2], *answer) == DONE


def test_an_answer_with_its_own_partial_iv_is_taken_once_in_any_order() -> None:
    client, server = pair()
    option, cipher, request = client.seal(REPORT)
    taken, _ = server.open_request(option, cipher)
    answers = [server.seal_response(taken, bytes((0x81, n)), own=True) for n in range(40)]
    for answer in reversed(answers[:20]):
        client.open(request, *answer)
        with pytest.raises(OscoreError, match="before"):
            client.open(request, *answer)
    for answer in answers[20:]:
        client.open(request, *answer)
    assert len(client._taken) == 32


def test_an_answer_that_names_another_context_is_refused() -> None:
    client, server = pair()
    option, cipher, request = client.seal(REPORT)
    _, cipher = server.seal_response(server.open_request(option, cipher)[0], DONE)
    for foreign in (b"\x08\xff", b"\x10\x01\xaa", b"\x10\x00"):
        with pytest.raises(OscoreError, match="another security context"):
            client.open(request, foreign, cipher)
    assert client.open(request, b"\x08", cipher) == DONE  # the fleet's kid is empty


def test_an_answer_without_a_code_is_refused() -> None:
    client, server = pair()
    option, cipher, request = client.seal(REPORT)
    answer = server.seal_response(server.open_request(option, cipher)[0], b"")
    with pytest.raises(OscoreError, match="without a code"):
        client.open(request, *answer)


def test_what_derives_the_keys_leaves_the_heap() -> None:
    pair()
    assert "node.link.hkdf" not in sys.modules


def test_a_message_of_another_key_is_refused() -> None:
    client, _ = pair()
    _, server = pair(secret=bytes(16))
    with pytest.raises(OscoreError, match="verify"):
        server.open_request(*client.seal(REPORT)[:2])


def test_no_number_no_message() -> None:
    def exhausted() -> int:
        raise OscoreError("used up")

    with pytest.raises(OscoreError, match="used up"):
        oscore.Context(SECRET, KID, b"", exhausted).seal(REPORT)
    context = oscore.Context(SECRET, KID, b"", counter((1 << 40) - 1))
    assert context.seal(REPORT)[0] == b"\x0d" + b"\xff" * 5 + KID
    with pytest.raises(OscoreError, match="rotate"):
        context.seal(REPORT)


def test_a_replayed_request_is_refused_and_a_forged_one_strikes_nothing() -> None:
    client, server = pair()
    option, cipher, _ = client.seal(REPORT)
    with pytest.raises(OscoreError, match="verify"):
        server.open_request(option, cipher[:-1] + bytes((cipher[-1] ^ 1,)))
    server.open_request(option, cipher)
    with pytest.raises(OscoreError, match="replay"):
        server.open_request(option, cipher)
    for lacking in (b"", b"\x01\x14", b"\x08" + KID):
        with pytest.raises(OscoreError, match="without"):
            server.open_request(lacking, cipher)


def test_the_nonce_of_a_request_serves_one_answer() -> None:
    client, server = pair()
    request, _ = server.open_request(*client.seal(REPORT)[:2])
    server.seal_response(request, DONE)
    with pytest.raises(OscoreError, match="nonce"):
        server.seal_response(request, b"\x45")
    server.seal_response(request, b"\x45", own=True)


@given(st.lists(st.integers(0, 120), max_size=60))
def test_the_window_takes_each_number_once_and_none_too_old(numbers: list[int]) -> None:
    window = Window()
    seen: set[int] = set()
    for number in numbers:
        fresh = number not in seen and number > max(seen, default=-1) - 32
        assert window.fresh(number) == fresh
        if fresh:
            window.strike(number)
            seen.add(number)
        else:
            with pytest.raises(OscoreError):
                window.strike(number)


def test_the_vm_parses_and_seals_alike(tmp_path: Path, micropython: list[str]) -> None:
    draw = random.Random(8613)
    cases: dict[str, list[list[object]]] = {"parse": [], "context": []}
    for n in range(400):
        option = bytes((draw.randrange(32) if n % 4 else n % 256,)) + draw.randbytes(n % 14)
        fields = valid(option)
        told = None if fields is None else [None if f is None else f.hex() for f in fields]
        cases["parse"].append([option.hex(), told])
    for n in range(30):
        secret, sender, recipient = draw.randbytes(16), draw.randbytes(n % 8), draw.randbytes(2)
        salt, id_context = draw.randbytes(n % 9), draw.randbytes(n) if n % 3 else None
        number, payload = draw.randrange(1 << 8 * (1 + n % 5)), draw.randbytes(n)
        message = decoded(b"\x40\x02\x00\x01\xff" + payload if payload else b"\x40\x02\x00\x01")
        option, cipher, _ = Peer(secret, sender, recipient, number, salt, id_context).seal(message)
        given = [secret.hex(), sender.hex(), recipient.hex(), salt.hex()]
        given_context = None if id_context is None else id_context.hex()
        plain = b"\x02" + (b"\xff" + payload if payload else b"")
        row = [[*given, given_context], number, plain.hex(), option.hex(), cipher.hex()]
        cases["context"].append(row)
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    script = [str(ROOT / "tests/vm/oscore_check.py"), str(ROOT / "firmware")]
    ran = subprocess.run(
        [*micropython, *script, str(tmp_path / "cases.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"ran": 430, "differ": []}
