"""Blocks put together: against a model, in order and out of it, and never more than is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.coap import blocks
from fleet.coap.blocks import Assemblies, Block, IncompleteError, TooLargeError

NODE = 7


def pieces(payload: bytes, size: int) -> list[tuple[Block, bytes]]:
    """A report as its node sends it."""
    cut = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return [(Block(n, n + 1 < len(cut), size), piece) for n, piece in enumerate(cut)]


def put(assemblies: Assemblies, block: Block, piece: bytes) -> bytes:
    """What the server does once a block is struck."""
    data = assemblies.joined(NODE, block, piece)
    if block.more:
        assemblies.keep(NODE, data)
    return data


@given(st.binary(min_size=1, max_size=2000), st.sampled_from([16, 64, 256, 1024]), st.randoms())
def test_blocks_in_order_each_sent_once_or_more_give_the_report(
    payload: bytes, size: int, chance: st.DrawFn
) -> None:
    assemblies = Assemblies()
    for block, piece in pieces(payload, size):
        for _ in range(chance.choice([1, 1, 3])):  # type: ignore[attr-defined]
            data = put(assemblies, block, piece)
    assert data == payload


@given(st.lists(st.tuples(st.integers(0, 6), st.binary(min_size=16, max_size=16)), max_size=12))
def test_blocks_in_any_order_give_what_a_model_gives(drawn: list[tuple[int, bytes]]) -> None:
    """Only the next block, the last one again, or a first one is taken."""
    assemblies = Assemblies()
    model: list[bytes] | None = None
    for number, piece in drawn:
        takes_next = model is not None and number == len(model)
        is_again = model is not None and number + 1 == len(model) and model[-1] == piece
        block = Block(number, True, 16)
        if number == 0:
            model = [piece]
        elif takes_next:
            assert model is not None
            model.append(piece)
        elif not is_again:
            with pytest.raises(IncompleteError):
                assemblies.joined(NODE, block, piece)
            continue
        assert model is not None
        assert put(assemblies, block, piece) == b"".join(model)


def test_attack_fragments_without_end_have_a_limit_of_bytes() -> None:
    assemblies = Assemblies()
    for n in range(8):
        put(assemblies, Block(n, True, 1024), bytes(1024))
    with pytest.raises(TooLargeError):
        assemblies.joined(NODE, Block(8, True, 1024), bytes(1024))
    with pytest.raises(TooLargeError):
        assemblies.joined(NODE, Block(1 << 19, False, 1024), b"x")
    assert assemblies.joined(NODE, Block(7, False, 1024), bytes(1024)) == bytes(8192)


def test_attack_of_a_node_that_begins_again_and_again_one_is_kept() -> None:
    assemblies = Assemblies()
    for n in range(100):
        put(assemblies, Block(0, True, 1024), bytes([n]) * 1024)
    assert len(assemblies) == 1
    assert assemblies.joined(NODE, Block(1, False, 1024), b"x") == bytes([99]) * 1024 + b"x"


def test_attack_of_many_nodes_the_oldest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "ASSEMBLIES", 3)
    assemblies = Assemblies()
    for node in range(5):
        assemblies.keep(node, bytes(16))
    assert len(assemblies) == 3
    with pytest.raises(IncompleteError):
        assemblies.joined(1, Block(1, False, 16), b"x")
    assert assemblies.joined(4, Block(1, False, 16), b"x") == bytes(16) + b"x"


def test_what_is_not_continued_is_given_up() -> None:
    now = [0.0]
    assemblies = Assemblies(lambda: now[0])
    put(assemblies, Block(0, True, 16), bytes(16))
    now[0] = blocks.LIFETIME_S + 1
    with pytest.raises(IncompleteError):
        assemblies.joined(NODE, Block(1, False, 16), b"x")


def test_one_node_s_blocks_are_not_another_s() -> None:
    assemblies = Assemblies()
    assemblies.keep(1, bytes(16))
    with pytest.raises(IncompleteError):
        assemblies.joined(2, Block(1, False, 16), b"x")


@given(st.binary(max_size=5))
def test_a_block_option_is_read_or_refused(value: bytes) -> None:
    try:
        block = blocks.read(value)
    except ValueError:
        assert len(value) > 3 or value[-1] & 7 == 7
        return
    assert 16 <= block.size <= 1024
    assert block.start == block.number * block.size
    whole = block.number << 4 | block.more << 3 | block.size.bit_length() - 5
    assert whole == int.from_bytes(value, "big")
