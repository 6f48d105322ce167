"""Every stage of an update, and what may befall a node in it: how each ends. No row is left out:
the table is made of all stages, all misfortunes and both ways to send an application.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import update_rig as rig
from node.wire import cbor, receipt, release
from numbers_rig import PowerCut
from update_rig import NEW, OLD, Board

ACCEPTED, DOWNLOADING, DOWNLOADED, VERIFIED, INSTALLING, CONFIRMING, ENDED = range(1, 8)
STAGES = {
    ACCEPTED: "accepted", DOWNLOADING: "downloading", DOWNLOADED: "downloaded",
    VERIFIED: "verified", INSTALLING: "installing", CONFIRMING: "confirming", ENDED: "ended",
}  # fmt: skip
FORMS = {release.DEFLATED: "whole", release.DELTA: "delta"}
DONE, FAILED = 0, 9
CUT = 1  # detail of FAILED
BACK = 8 * 3600  # of a fleet or a file system that comes back

Row = tuple[int, str, int]
End = tuple[int, int, int]  # result, detail, sequence that runs in the end


def _end(stage: int, what: str, form: int) -> End:
    """What must come of it."""
    detail = 100 * stage
    done = (DONE, 0, NEW)
    if (stage, what, form) == (DOWNLOADING, "storage full", release.DELTA):
        return done  # what is left of it fits into the last block; the rest waits for room
    if what == "killed for ever":
        if stage <= VERIFIED:
            return FAILED, detail + CUT, OLD
        if stage == CONFIRMING:
            return release.ROLLED_BACK, release.CRASHED, OLD
    if what == "fleet gone":
        if stage <= DOWNLOADING:
            return release.STALE, detail, OLD
        if stage <= CONFIRMING:
            return release.ROLLED_BACK, release.NOT_CONFIRMED, OLD
    if what == "withdrawn" and stage <= DOWNLOADING:
        return release.WITHDRAWN, detail, OLD
    if what == "taken back":
        if stage <= DOWNLOADING:
            return release.WITHDRAWN, detail, OLD
        if stage <= CONFIRMING:  # the report that brought the word confirms nothing
            return release.WITHDRAWN, 100 * CONFIRMING, OLD
    if what == "storage full" and stage <= DOWNLOADED:
        return release.NO_SPACE, detail, OLD
    if what == "clock far ahead" and stage <= DOWNLOADING:
        return release.STALE, detail, OLD
    return done


class Fate:
    """Strikes when the job's file comes to a stage, or leaves it."""

    def __init__(self, board: Board, stage: int) -> None:
        self.board = board
        self.stage = stage
        self.enters: Callable[[], None] = lambda: None
        self.leaves: Callable[[], None] = lambda: None
        self.first: Callable[[], None] = lambda: None  # any operation behind that
        self.struck = False
        board.files.hook = self._hook

    def _hook(self, what: str, path: str, data: bytes) -> None:
        if self.struck and what.startswith("before"):
            first, self.first = self.first, lambda: None
            first()
        if path != "/update/job":
            return
        there = self.board.stage
        coming: Any = cbor.decode(data) if data else [0] * 6
        if (what == "before rename" and there == self.stage != coming[2]) or (
            what == "before remove" and there == self.stage
        ):
            self.leaves()
        if what == "after rename" and coming[2] == self.stage and not self.struck:
            self.struck = True
            self.enters()


def _once(action: Callable[[], None]) -> Callable[[], None]:
    left = [action]

    def act() -> None:
        if left:
            left.pop()()

    return act


def _kill() -> None:
    raise PowerCut


def _io_error() -> None:
    raise OSError(5, "EIO")


def _fall(board: Board, stage: int, what: str) -> Callable[[], None]:
    """Have it befall the board in that stage; what ends it, if it ends."""
    fate = Fate(board, stage)
    fleet = board.fleet

    def nothing() -> None:
        pass

    if what == "error":
        fate.enters = lambda: setattr(fate, "first", _io_error)
    elif what == "killed at enter":
        fate.enters = _kill
    elif what == "killed at leave":
        fate.leaves = _once(_kill)
    elif what == "killed for ever" and stage != CONFIRMING:
        fate.leaves = lambda: _kill_unless_ended(board)
    elif what == "fleet gone":
        fate.enters = lambda: setattr(fleet, "up", False)
        return lambda: setattr(fleet, "up", True)
    elif what == "withdrawn":
        fate.enters = lambda: setattr(fleet, "word", release.GONE)
    elif what == "taken back":
        nothing_left = release.Assignment(0, b"", 0, 0, [], bytes(16))
        payload = rig.signed(nothing_left, 2)
        fate.enters = lambda: _take_back(board, payload)
    elif what == "storage full":
        # But for the file that is being renamed.
        fate.enters = lambda: setattr(board.files, "blocks", board.files.used - 1)
        return lambda: setattr(board.files, "blocks", 128)
    elif what == "clock not sure":
        fate.enters = lambda: _forget_time(board)
        return lambda: setattr(fleet, "knows_time", True)
    elif what == "clock far ahead":
        fate.enters = lambda: setattr(board, "now", board.now + 300 * rig.DAY)
    return nothing


def _kill_unless_ended(board: Board) -> None:
    import traceback

    frames = {frame.name for frame in traceback.extract_stack()}
    if "_end" not in frames or board.stage == ENDED:
        raise PowerCut


def _take_back(board: Board, payload: bytes) -> None:
    board.fleet.pending.append((2, receipt.UPDATE, payload))
    board.fleet.word = release.GONE


def _forget_time(board: Board) -> None:
    board.fleet.knows_time = False
    board.state.set("clock_sure", 0)


MISFORTUNES = (
    "error", "killed at enter", "killed at leave", "killed for ever", "fleet gone", "withdrawn",
    "taken back", "storage full", "clock not sure", "clock far ahead",
)  # fmt: skip
ROWS: list[Row] = list(itertools.product(STAGES, MISFORTUNES, FORMS))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    yield from rig.boards(monkeypatch)


def test_the_table_has_every_row() -> None:
    assert len(set(ROWS)) == len(STAGES) * len(MISFORTUNES) * len(FORMS) == 140


@pytest.mark.parametrize(
    ("stage", "what", "form"), ROWS, ids=[f"{STAGES[s]}-{w}-{FORMS[f]}" for s, w, f in ROWS]
)
def test_each_stage_ends_well(board: Board, stage: int, what: str, form: int) -> None:
    manners = "crashes" if (stage, what) == (CONFIRMING, "killed for ever") else "good"
    ends = _fall(board, stage, what)
    board.give(rig.offer(form, rig.image(NEW, manners)))
    lasting = {"fleet gone": 60, "storage full": 5}.get(what, 12)
    board.go(lasting)
    ends()
    board.go(60)
    result, detail, runs = _end(stage, what, form)
    assert set(board.fleet.results) == {(1, result, detail)}
    board.files.hook = lambda _what, _path, _data: None
    board.go(8, lambda: False)
    assert board.runs == runs
    assert board.files.kept.get("/slot", b"a - good").decode().split()[2] == "good"
    assert board.nvs["seq"] == runs
    assert not [path for path in board.files.kept if path.startswith("/update/")]
    # And the next one goes through, whatever became of this.
    board.fleet.results.clear()
    board.fleet.word = 0
    newest = rig.image(NEW + 1)
    later = {"expiry": board.now + 9 * rig.DAY}
    board.give(rig.offer(release.DEFLATED, newest, sequence=NEW + 1, expiry=0), 9, **later)
    assert set(board.go()) == {(9, DONE, 0)}
    assert board.runs == board.nvs["seq"] == NEW + 1
