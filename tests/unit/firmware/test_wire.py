"""The wire codecs: strict, total, bounded, and the same on both interpreters."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node.wire import cbor, nodeid

FIRMWARE = Path(__file__).parents[3] / "firmware"

leaves = (
    st.integers(-(1 << 63), (1 << 63) - 1)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.none()
)
keys = st.integers(-1000, 100000) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5)


values = st.recursive(leaves, containers, max_leaves=20)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max([depth(v) for v in value.values()], default=0)
    if isinstance(value, list):
        return 1 + max([depth(v) for v in value], default=0)
    return 0


@given(values)
def test_encoding_is_canonical_cbor_and_decodes_to_itself(value: Any) -> None:
    if depth(value) > cbor.MAX_DEPTH:
        with pytest.raises(cbor.CborError):
            cbor.encode(value)
        return
    raw = cbor.encode(value)
    assert cbor.decode(raw) == value
    assert cbor2.loads(raw) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_our_error(raw: bytes) -> None:
    try:
        decoded = cbor.decode(raw)
    except cbor.CborError:
        return
    assert cbor.encode(decoded) == raw, "two encodings of one value were accepted"


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("trailing bytes", "0000"),
        ("duplicate keys", "a200000000"),
        ("unsorted keys", "a2010000 00"),
        ("long form of a short integer", "1817"),
        ("long form of a length", "580100"),
        ("indefinite array", "9f00ff"),
        ("tag", "c100"),
        ("float", "f93c00"),
        ("undefined", "f7"),
        ("array that claims 2^32 elements", "9affffffff"),
        ("text that is not UTF-8", "62c328"),
        ("depth 5", "8181818181 00"),
        ("bool as key", "a1f500"),
        ("integer of 65 bits", "3bffffffffffffffff"),
        ("nothing", ""),
    ],
)
def test_refused(name: str, raw: str) -> None:
    with pytest.raises(cbor.CborError):
        cbor.decode(bytes.fromhex(raw))


@given(st.binary(min_size=6, max_size=6))
def test_node_id_stands_for_the_mac(mac: bytes) -> None:
    text = nodeid.from_mac(mac)
    assert len(text) == nodeid.LENGTH
    assert nodeid.to_mac(text) == mac


@given(st.text(max_size=12))
def test_node_id_grammar_is_total(text: str) -> None:
    with contextlib.suppress(nodeid.NodeIdError):
        assert nodeid.from_mac(nodeid.to_mac(text)) == text


@settings(max_examples=1)
@given(st.lists(st.binary(max_size=60), min_size=400, max_size=400))
def test_both_interpreters_judge_alike(raws: list[bytes]) -> None:
    """The VM accepts and refuses what CPython accepts and refuses, with the same meaning."""
    script = (
        "import sys, json\n"
        "from node.wire import cbor\n"
        "for line in sys.stdin:\n"
        "    try: print(cbor.encode(cbor.decode(bytes.fromhex(json.loads(line)))).hex())\n"
        "    except cbor.CborError as e: print(e)\n"
    )

    def cpython(raw: bytes) -> str:
        try:
            return bytes(cbor.encode(cbor.decode(raw))).hex()
        except cbor.CborError as e:
            return str(e)

    vm = Path(sys.executable).with_name("micropython")
    out = subprocess.run(
        [vm, "-c", script],
        cwd=FIRMWARE,
        input="".join(json.dumps(r.hex()) + "\n" for r in raws),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert out.stdout.splitlines() == [cpython(raw) for raw in raws]
