"""The receipt: strict, total, and matched to what was sent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node.wire import cbor, receipt
from node.wire.uplink import ReportError

_EPOCHS = st.integers(1, 0xFFFFFFFF)
_ITEMS = st.lists(
    st.tuples(
        st.integers(1, 0x7FFFFFFF),
        st.integers(1, 255),
        st.binary(max_size=60) | st.integers(1, 65535),
    ),
    max_size=receipt.MAX_ITEMS,
    unique_by=lambda item: item[0],
).map(lambda items: [list(item) for item in sorted(items, key=lambda item: item[0])])


def ranges_of(numbers: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for n in sorted(numbers):
        if found and n == found[-1][1] + 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


_RANGES = st.sets(st.integers(1, 60), max_size=40).map(ranges_of)


@given(_EPOCHS, _RANGES, _ITEMS, st.integers(0, 65535), st.integers(0, 0xFFFFFFFF))
def test_it_arrives_as_it_was_sent(
    epoch: int, ranges: list[tuple[int, int]], items: list[Any], waiting: int, time: int
) -> None:
    raw = receipt.encode(epoch, ranges, items, waiting, time)
    assert receipt.decode(raw) == (epoch if ranges else 0, ranges, items, waiting, time)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_receipt_or_our_error(raw: bytes) -> None:
    try:
        got = receipt.decode(raw)
    except ReportError:
        return
    assert receipt.encode(*got) == raw


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other version", {0: 2, 1: 1, 2: [1, 1]}),
        ("no range", {0: 1, 1: 1, 2: []}),
        ("half a range", {0: 1, 1: 1, 2: [1]}),
        ("range backwards", {0: 1, 1: 1, 2: [5, 4]}),
        ("ranges that touch", {0: 1, 1: 1, 2: [1, 2, 3, 4]}),
        ("65 ranges", {0: 1, 1: 1, 2: [x for n in range(65) for x in (3 * n + 1, 3 * n + 2)]}),
        ("epoch without ranges", {0: 1, 1: 1}),
        ("ranges without epoch", {0: 1, 2: [1, 1]}),
        ("epoch 0", {0: 1, 1: 0, 2: [1, 1]}),
        ("unknown key", {0: 1, 6: 1}),
        ("no item", {0: 1, 3: []}),
        ("9 items", {0: 1, 3: [[n + 1, 1, b""] for n in range(9)]}),
        ("items that go back", {0: 1, 3: [[2, 1, b""], [1, 1, b""]]}),
        ("item of two", {0: 1, 3: [[2, 1]]}),
        ("item of 513 bytes", {0: 1, 3: [[2, 1, bytes(513)]]}),
        ("item of no size", {0: 1, 3: [[2, 1, 0]]}),
        ("item of a text", {0: 1, 3: [[2, 1, "x"]]}),
        ("nothing waits", {0: 1, 4: 0}),
        ("no time", {0: 1, 5: 0}),
        ("time of 33 bits", {0: 1, 5: 1 << 32}),
    ],
)
def test_refused(name: str, message: dict[int, Any]) -> None:
    with pytest.raises(ReportError):
        receipt.decode(cbor.encode(message))


@given(_EPOCHS, _RANGES.filter(bool), _RANGES.filter(bool))
def test_it_covers_what_it_shares_a_record_with(
    epoch: int, sent: list[tuple[int, int]], given_: list[tuple[int, int]]
) -> None:
    def numbers(ranges: list[tuple[int, int]]) -> set[int]:
        return {n for first, last in ranges for n in range(first, last + 1)}

    whole = receipt.encode(epoch, sent)
    assert receipt.covers(receipt.encode(epoch, given_), whole) == bool(
        numbers(sent) & numbers(given_)
    )
    assert not receipt.covers(receipt.encode(epoch % 0xFFFFFFFF + 1, sent), whole)


@given(st.binary(max_size=60))
def test_garbage_covers_nothing(data: bytes) -> None:
    assert receipt.covers(data, receipt.encode(7, [(1, 2)])) is False
