"""A receipt is matched to a report without decoding the report: same verdict, any input."""

from hypothesis import given
from hypothesis import strategies as st
from node.link.match import answers
from node.wire import receipt, report

_SEQUENCES = st.lists(st.integers(1, 0xFFFFFFFF), max_size=20, unique=True).map(sorted)
_VALUES = st.dictionaries(
    st.integers(1, 65535), st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=16
).map(lambda values: list(values.items()))
_EPOCHS = st.integers(1, 0xFFFFFFFF)


def encoded(epoch: int, sequences: list[int], values: list[tuple[int, int]]) -> bytes:
    body = report.encode_body(1795411856, report.GOOD, values)
    data: bytes = report.encode(
        epoch, 1795411856, [(s, body) for s in sequences], {report.DEPTH: 300}
    )
    return data


@given(_EPOCHS, _SEQUENCES, _VALUES, st.integers(1, 0xFFFFFFFF), st.integers(0, 50), st.data())
def test_same_verdict_as_by_decoding(
    epoch: int,
    sequences: list[int],
    values: list[tuple[int, int]],
    first: int,
    more: int,
    data: st.DataObject,
) -> None:
    near = data.draw(st.sampled_from([*sequences, first]))
    ranges = [(near, min(near + more, 0xFFFFFFFF))]
    sent = encoded(epoch, sequences, values)
    covered = any(
        low <= r.sequence <= high for low, high in ranges for r in report.decode(sent).records
    )
    assert answers(receipt.encode(epoch, ranges), sent) == covered
    assert not answers(receipt.encode(epoch % 0xFFFFFFFF + 1, ranges), sent)


@given(st.binary(max_size=60))
def test_garbage_is_no_answer(data: bytes) -> None:
    assert answers(data, encoded(7, [1, 2], [(1, 10)])) is False


def test_a_gap_between_ranges_is_no_overlap() -> None:
    sent = encoded(7, [5, 6, 7], [(1, 10)])
    assert not answers(receipt.encode(7, [(1, 4), (8, 9)]), sent)
    assert answers(receipt.encode(7, [(1, 3), (6, 6)]), sent)
