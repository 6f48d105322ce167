"""Attack: endless data. Whoever serves the blocks sends more than was asked for, or never ends."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import update_rig as rig
from node.wire import release
from update_rig import NEW, OLD, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def limits(board: Board) -> None:
    """Blocks that come are twice as long, come twice, and others come along."""
    theirs = board.fleet.blocks

    async def blocks(
        number: int, size: int, first: int, missing: bytes, take: Any, ms: int
    ) -> int:
        def more(index: int, data: bytes) -> None:
            for wrong in (data + data, data + b"x", b"", bytes(100_000), data[:-1]):
                take(index, wrong)
            for other in (-1, 1 << 20, 1 << 40):
                take(other, data)
            take(index, data)
            take(index, bytes(len(data)))

        return await theirs(number, size, first, missing, more, ms)

    board.fleet.blocks = blocks  # type: ignore[method-assign, assignment]


def test_only_what_was_asked_for_is_kept(board: Board) -> None:
    limits(board)
    most = []

    def hook(_what: str, path: str, data: bytes) -> None:
        if path == "/update/blocks":
            most.append(len(data))

    board.files.hook = hook
    given = rig.offer()
    board.give(given)
    assert board.go() == [(1, 0, 0)]
    assert max(most) <= len(given.stream) + 4 * (len(given.stream) // 256 + 1)


def test_a_stream_that_fills_the_flash_is_refused_before_it_is_fetched(board: Board) -> None:
    part = (release.APPLICATION, release.DEFLATED, bytes(3_000_000), b"")
    board.give(rig.Offer(rig.manifest(rig.component(rig.image(NEW))), [part]))
    assert board.go() == [(1, release.NO_SPACE, 100)]
    assert len(board.fleet.asked) <= 2, "its envelope"


def longer(form: int) -> rig.Offer:
    """A part that gives more bytes than its component has."""
    old, new = rig.image(OLD), rig.image(NEW)
    data = rig.deflated(new + bytes(1000))
    if form == release.DELTA:
        made = io.BytesIO()
        rig.detools.create_patch(
            io.BytesIO(old), io.BytesIO(new + bytes(1000)), made, compression="none"
        )
        data = rig.deflated(made.getvalue())
    base = rig.base(old) if form == release.DELTA else b""
    return rig.Offer(rig.manifest(rig.component(new)), [(release.APPLICATION, form, data, base)])


@pytest.mark.parametrize("form", [release.DEFLATED, release.DELTA])
def test_more_output_than_declared_is_no_part(board: Board, form: int) -> None:
    board.give(longer(form))
    assert board.go() == [(1, release.BAD_DELTA, 300)]
    assert len(board.files.kept.get("/b.romfs", b"")) <= len(rig.image(NEW))
    assert board.runs == OLD


def test_a_server_that_never_has_the_block_ends_with_the_assignment(board: Board) -> None:
    board.fleet.word = release.LATER
    board.give(rig.offer())
    board.go(80)
    assert board.fleet.results == []
    board.now = rig.EXPIRY + 1
    assert board.go() == [(1, release.STALE, 100)]
