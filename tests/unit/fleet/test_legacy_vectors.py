"""Every example frame says what its source says, and is written again byte for byte."""

from typing import Any

import legacy_fuzz
import pytest

from fleet.legacy.protocols.catalogue import NAMES, UnknownProtocol, codec
from fleet.legacy.protocols.frame import FrameError

VECTORS = legacy_fuzz.vectors()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one['protocol']} {one['hex'][:28]}")
def test_an_example_says_what_it_says(vector: dict[str, Any]) -> None:
    chosen = codec(vector["protocol"])
    data = bytes.fromhex(vector["hex"])
    frame = chosen.decode(data)
    told = frame.as_json()
    assert {key: told[key] for key in vector["says"]} == vector["says"]
    read = {value.key: f"{value.value} {value.unit}".strip() for value in chosen.values(frame)}
    assert {key: read.get(key) for key in vector["values"]} == vector["values"]
    assert chosen.encode(frame) == data.lstrip(b"\xfe")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: f"{one['protocol']} {one['hex'][:28]}")
def test_no_cut_and_nothing_behind_is_taken(vector: dict[str, Any]) -> None:
    chosen = codec(vector["protocol"])
    data = bytes.fromhex(vector["hex"])
    for cut in range(len(data)):
        with pytest.raises(FrameError):
            chosen.decode(data[:cut])
    for more in (b"\0", b"\x16", b"\r\n", data):
        with pytest.raises(FrameError):
            chosen.decode(data + more)


@pytest.mark.parametrize("protocol", [name for name in NAMES if name != "hj212"])
def test_every_bit_that_flips_is_found(protocol: str) -> None:
    chosen = codec(protocol)
    for data in legacy_fuzz.examples(protocol)[:6]:
        bare = data.lstrip(b"\xfe")
        for bit in range(8 * len(bare)):
            bad = bytearray(bare)
            bad[bit // 8] ^= 1 << bit % 8
            with pytest.raises(FrameError):
                chosen.decode(bytes(bad))


def test_a_protocol_that_there_is_not() -> None:
    with pytest.raises(UnknownProtocol, match="no protocol mbus: there are cjt188"):
        codec("mbus")
