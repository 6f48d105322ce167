"""An update from its assignment to its confirmation, on a node's real cycle."""

from collections.abc import Iterator

import pytest
import update_rig as rig
from node.wire import release, uplink
from update_rig import NEW, Board


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


@pytest.mark.parametrize("form", [release.PLAIN, release.DEFLATED, release.DELTA])
def test_an_update_is_fetched_verified_tried_and_confirmed(board: Board, form: int) -> None:
    board.give(rig.offer(form))
    assert board.go() == [(1, 0, 0)]
    assert board.runs == NEW
    assert board.nvs["seq"] == NEW
    assert board.files.kept["/slot"] == b"b - good"
    assert board.files.kept["/b.romfs"] == rig.image(NEW)
    assert not [path for path in board.files.kept if path.startswith("/update")]
    assert board.fleet.told[uplink.RELEASE] == NEW
    assert board.fleet.told[uplink.IMAGE] == int.from_bytes(rig.image(NEW)[4:8], "big")
    assert board.state.get("upd") == 0
