"""The window of digests against a naive model."""

from hypothesis import given
from hypothesis import strategies as st

from fleet.clones.window import Window, digest

SIZE = 8
notes = st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=2)), max_size=60)


@given(notes)
def test_it_knows_the_newest_and_nothing_else(drawn: list[tuple[int, bytes]]) -> None:
    window, known, highest = Window(SIZE), dict[int, int](), -1
    for number, content in drawn:
        found = digest(content)
        window = Window(SIZE, window.dump())
        in_reach = {n: d for n, d in known.items() if n > highest - SIZE}
        assert window.differs(number, found) == (in_reach.get(number, found) != found)
        window.note(number, found)
        if number > highest - SIZE:
            known.setdefault(number, found)
        highest = max(highest, number)
        known = {n: d for n, d in known.items() if n > highest - SIZE}
    raw = window.dump()
    assert raw is None if not drawn else raw is not None and len(raw) == 5 + 4 * SIZE


@given(st.binary(max_size=80), st.integers(0, 1 << 40))
def test_any_bytes_are_a_window(raw: bytes, number: int) -> None:
    window = Window(SIZE, raw)
    window.note(number, digest(b""))
    assert isinstance(window.differs(number, 1), bool)


def test_a_digest_is_never_the_unknown() -> None:
    assert all(digest(bytes([n])) for n in range(256))
