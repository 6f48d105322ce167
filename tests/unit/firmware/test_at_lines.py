"""The framing of the AT engine: the same items however the bytes are chunked, on both VMs."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.link import replies
from node.link.atlines import AtLines

ROOT = Path(__file__).parents[3]
NASTY = b'\r\nOK\r\n> +QIURC: "recv",0,9,\r\nERROR\r\n+CME ERROR: 3\r\n\x00\xff>'
LINES = ["OK", "+CEREG: 0,1", "+QIOPEN: 0,0", "RDY", "a>b", 'x "y",z', "+QENG: 0,1,2,3,4"]


def length(line: str) -> int | None:
    values = replies.fields(line)
    return replies.whole(values[2]) if len(values) == 3 else None


def items(chunks: list[bytes], armed: bool = True) -> list[Any]:
    out: list[Any] = []
    framing = AtLines(lambda line, payload: out.append((line, payload)), lambda: out.append(">"))
    framing.payload_rule('+QIURC: "recv",', length, 3)
    framing.payload_rule('+RAW: "recv",', length)
    framing.armed = armed
    for chunk in chunks:
        framing.feed(chunk)
    return out


def inline(data: bytes) -> bytes:
    return b'\r\n+QIURC: "recv",0,%d,%s\r\n' % (len(data), data)


def below(data: bytes) -> bytes:
    return b'\r\n+RAW: "recv",1,%d\r\n%s\r\n' % (len(data), data)


def as_hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


payloads = st.one_of(st.binary(max_size=80), st.just(NASTY), st.just(b"\n"), st.just(b"\r\n"))
pieces = st.one_of(
    payloads.map(inline),
    payloads.map(below),
    st.sampled_from(LINES).map(lambda line: b"\r\n" + line.encode() + b"\r\n"),
    st.sampled_from([b"\r\n> ", b"AT\r\r\n", b"ATE0\r", b"\r", b"\n", b"  ", b"\x00\xfe"]),
    st.just(b"x" * 700 + b"\r\n"),
    st.binary(max_size=20),
)
streams = st.lists(pieces, max_size=8).map(b"".join)


def test_plain_lines_lose_their_ends_and_blanks() -> None:
    assert items([b"\r\nOK\r\n\r\n+IFC: 1,2\r\nOK\r\nAT+IFC?\r\r\n"]) == [
        ("OK", None),
        ("+IFC: 1,2", None),
        ("OK", None),
        ("AT+IFC?", None),
    ]


@pytest.mark.parametrize("data", [NASTY, b"\n", b"\r\n", b"", b">", b"+QIURC"])
@pytest.mark.parametrize("form", [inline, below])
def test_a_payload_is_taken_by_its_length(form: Any, data: bytes) -> None:
    stream = form(data) + b"\r\nOK\r\n"
    found = items([stream], armed=False)
    assert [payload for _, payload in found] == [data, None]
    assert found[1] == ("OK", None)


def test_without_the_rule_the_payloads_ok_would_count() -> None:
    """Sabotage: what the length protects from."""
    out: list[object] = []
    framing = AtLines(lambda line, payload: out.append(line), lambda: None)
    framing.feed(inline(NASTY))
    assert "OK" in out
    assert "ERROR" in out


def test_a_prompt_is_only_one_at_a_lines_start_and_only_when_armed() -> None:
    assert items([b"a>b\r\n\r\n> "]) == [("a>b", None), ">"]
    assert items([b"\r\n> \r\n"], armed=False) == [(">", None)]
    assert items([b"\r\n> > x\r\n"]) == [">", ("> x", None)]


def test_a_urc_may_come_before_the_prompt() -> None:
    assert items([inline(b"he>lo") + b"\r\n> "]) == [('+QIURC: "recv",0,5', b"he>lo"), ">"]


def test_a_line_without_end_is_dropped_and_the_next_one_is_whole() -> None:
    framing_items = items([b"x" * 5000 + b"\r\nOK\r\n"])
    assert framing_items == [("OK", None)]
    assert items([b"x" * 601, b"x" * 4000, b"\r", b"\nOK\r\n"]) == [("OK", None)]


def test_a_length_beyond_the_bound_gives_no_payload() -> None:
    header = b'\r\n+QIURC: "recv",0,999999,'
    assert items([header + b"abc\r\nOK\r\n"]) == [
        ('+QIURC: "recv",0,999999,abc', None),
        ("OK", None),
    ]


def test_a_payload_cut_short_is_told_and_the_line_is_free_again() -> None:
    out: list[object] = []
    framing = AtLines(lambda line, payload: out.append((line, payload)), lambda: None)
    framing.payload_rule('+QIURC: "recv",', length, 3)
    framing.feed(b'\r\n+QIURC: "recv",0,1000,abc')
    framing.abort()
    framing.feed(b"\r\nOK\r\n")
    assert out == [('+QIURC: "recv",0,1000', None), ("OK", None)]


@pytest.mark.parametrize("lost", [1, 7, 30])
@pytest.mark.parametrize("form", [inline, below])
def test_bytes_that_the_uart_lost_are_told_and_not_made_up(form: Any, lost: int) -> None:
    """The payload is short: what stands behind it was taken to fill it up."""
    whole = form(b"a" * 60) + b"\r\n+CSCON: 0\r\n\r\n+IP: 10.166.132.17\r\n\r\nOK\r\n"
    at = whole.index(b"a" * 60) + 20
    stream = whole[:at] + whole[at + lost :]
    for chunks in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        found = items(chunks)
        assert (found[0][0], None) in found  # the header, and that its payload was not whole


@given(streams, st.lists(st.integers(0, 2000), max_size=6))
def test_chunks_never_matter(stream: bytes, cuts: list[int]) -> None:
    whole = items([stream])
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert items([stream[a:b] for a, b in pairwise(edges)]) == whole
    assert items([stream[i : i + 1] for i in range(len(stream))]) == whole


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_are_taken_and_memory_stays_bounded(chunks: list[bytes]) -> None:
    framing = AtLines(lambda line, payload: None, lambda: None)
    framing.payload_rule('+QIURC: "recv",', length, 3)
    for chunk in chunks:
        framing.feed(chunk)
        assert len(framing._rest) <= 600
        assert len(framing._payload) <= 2048


def test_the_vm_gives_the_same_items_at_every_cut(micropython: list[str], tmp_path: Path) -> None:
    corpus = [
        inline(NASTY) + b"\r\nOK\r\n",
        below(NASTY) + b"\r\nOK\r\n",
        b"\r\nRDY\r\n\x00\xffAT\r\r\nOK\r\n" + inline(b"\n") + b"\r\n> " + below(b""),
        b"\xc3\xa9\xff\r\nOK\r\n" + b"x" * 620 + b"\r\nOK\r\n",
        b'\r\n+QIURC: "recv",0,99999,a\r\n+QIURC: "recv",0\r\n+QIURC: "recv",0,-1,\r\nOK\r\n',
    ]
    source, target = tmp_path / "in.json", tmp_path / "out.json"
    source.write_text(json.dumps([stream.hex() for stream in corpus]))
    script = ROOT / "tests/vm/at_lines_check.py"
    done = subprocess.run(
        [*micropython, str(script), str(ROOT / "firmware"), str(source), str(target)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for stream, (found, same) in zip(corpus, json.loads(target.read_text()), strict=True):
        here = [item if item == ">" else [item[0], as_hex(item[1])] for item in items([stream])]
        assert same, stream
        assert found == here


QUOTED = [b"hello", b'"', b'""', b"\r", b"\r\n", b'a"\r\n', NASTY]


@pytest.mark.parametrize("data", QUOTED)
def test_a_payload_in_quotes_is_taken_without_them_however_it_is_cut(data: bytes) -> None:
    """BC660K's sibling firmware quotes what it pushes; the length does not count the quotes."""
    for form in (b'"' + data + b'"', data):
        head = f'+QIURC: "recv",0,{len(data)}'
        raw = f"\r\n{head},".encode() + form + b"\r\n\r\nOK\r\n"
        expected = [(head, data), ("OK", None)]
        for cut in range(len(raw) + 1):
            assert items([raw[:cut], raw[cut:]], armed=False) == expected, cut
        assert items([bytes((byte,)) for byte in raw], armed=False) == expected
