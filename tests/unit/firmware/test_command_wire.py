"""The command's payload: total, bounded, and what its MAC is over."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.wire import cbor, command
from fleet.wire.report import ReportError

INTS = st.lists(st.integers(-(2**31), 2**32 - 1), max_size=4)


@given(st.integers(1, 255), INTS, st.integers(1, 2**30 - 1), st.integers(0, 2**32 - 1))
def test_what_is_encoded_is_decoded(
    code: int, arguments: list[int], identifier: int, expiry: int
) -> None:
    payload = command.encode(code, arguments, identifier, expiry, bytes(16))
    assert command.decode(payload) == (code, arguments, identifier, expiry, bytes(16))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_command_or_an_error(data: bytes) -> None:
    with contextlib.suppress(ReportError):
        command.decode(data)


@pytest.mark.parametrize("place", range(6))
def test_the_mac_is_over_every_part(place: int) -> None:
    parts = ["1gntj14d2p", 7, 1, [2], 9, 1_795_411_856]
    other = list(parts)
    other[place] = "1gntj14d2q" if place == 0 else [3] if place == 3 else 11
    assert command.signed(*parts) != command.signed(*other)  # type: ignore[arg-type]


def test_signed_bytes_say_what_they_are_for() -> None:
    head, _, rest = command.signed("1gntj14d2p", 7, 1, [], 9, 5).partition(b"\0down\0")
    assert head == b"kapok command"
    assert cbor.decode(rest) == ["1gntj14d2p", 7, 1, [], 9, 5]
