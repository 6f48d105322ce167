"""Attack: decompression bomb. A part that inflates to a thousand times its size, or declares a
window of 32 KB, which is a node's whole heap.
"""

import io
import zlib
from collections.abc import Iterator

import pytest
import update_rig as rig
from node.wire import release
from update_rig import NEW, OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def given(data: bytes, size: int = 0) -> rig.Offer:
    new = rig.image(NEW)
    component = rig.component(new)._replace(size=size or len(new))
    return rig.Offer(rig.manifest(component), [(release.APPLICATION, release.DEFLATED, data, b"")])


@pytest.mark.parametrize("wbits", [11, 12, 13, 14, 15])
def test_a_declared_window_over_a_kilobyte_is_refused(board: Board, wbits: int) -> None:
    board.give(given(rig.deflated(rig.image(NEW), wbits)))
    assert board.go() == [(1, release.BAD_DELTA, 300)]
    assert board.runs == OLD


def test_without_the_guard_it_would_be_inflated(board: Board) -> None:
    rig.sabotage("update/delta.py", "(head[0] >> 4) + 8 > release.WBITS", "False")
    rig.sabotage(
        "update/delta.py", "deflate.ZLIB, release.WBITS)", "deflate.ZLIB, (head[0] >> 4) + 8)"
    )
    board.give(given(rig.deflated(rig.image(NEW), 15)))
    assert board.go() == [(1, 0, 0)]


def test_a_bomb_of_zeros_stops_at_the_declared_size(board: Board) -> None:
    written = []
    board.files.hook = lambda what, path, data: written.append((path, len(data)))
    bomb = rig.deflated(bytes(64 << 20))
    assert len(bomb) < 80_000
    board.give(given(bomb))
    assert board.go() == [(1, release.BAD_DELTA, 300)]
    assert max(size for path, size in written if path == "/b.romfs") <= len(rig.image(NEW))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"\x28", b"\x28\x15", bytes(100), b"\x28\x15" + bytes(100),
        b"\x28\x35" + b"\0" * 8,  # a preset dictionary
        b"\x27\x1a" + zlib.compress(b"y")[2:],  # no DEFLATE
        zlib.compress(b"short"), rig.deflated(b"short"),
    ],
)  # fmt: skip
def test_no_bytes_do_anything_else(data: bytes) -> None:
    from node.update import delta
    from node.update.ends import Refused

    out = bytearray()
    with pytest.raises(Refused) as caught:
        delta.build(io.BytesIO(data), release.DEFLATED, None, 1000, out.extend)
    assert caught.value.result == release.BAD_DELTA
    assert len(out) <= 1000
