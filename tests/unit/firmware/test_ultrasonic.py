"""Frames of an ultrasonic distance sensor: found in any noise, never made of it."""

import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from firmware_modules import fresh, restored
from hypothesis import given
from hypothesis import strategies as st

from hil.virtual.sensors.ultrasonic import frame


@pytest.fixture(scope="module")
def ultrasonic() -> Iterator[Any]:
    """The module; its `machine` is not asked for frames."""
    with restored():
        sys.modules["machine"] = types.ModuleType("machine")
        yield fresh("sense.ultrasonic")


def test_the_frame_of_the_data_sheet(ultrasonic: Any) -> None:
    # DFRobot, A02YYUW wiki: FF 07 A1 A7 is 1953 mm.
    assert frame(1953) == bytes.fromhex("ff07a1a7")
    assert ultrasonic.distances(bytes.fromhex("ff07a1a7")) == [1953]


@given(distances=st.lists(st.integers(0, 65535), max_size=8), cut=st.integers(0, 3))
def test_frames_one_after_another_are_all_found(
    ultrasonic: Any, distances: list[int], cut: int
) -> None:
    data = b"".join(frame(mm) for mm in distances)
    assert ultrasonic.distances(data) == distances
    assert ultrasonic.distances(data + frame(700)[: cut + 1]) == distances + [700] * (cut == 3)


@given(data=st.binary(max_size=200))
def test_any_bytes_give_only_what_has_its_sum(ultrasonic: Any, data: bytes) -> None:
    for mm in ultrasonic.distances(data):
        assert frame(mm) in data


@given(mm=st.integers(0, 65535), bit=st.integers(0, 31))
def test_one_wrong_bit_is_no_distance(ultrasonic: Any, mm: int, bit: int) -> None:
    whole = int.from_bytes(frame(mm), "big") ^ 1 << bit
    assert ultrasonic.distances(whole.to_bytes(4, "big")) == []
