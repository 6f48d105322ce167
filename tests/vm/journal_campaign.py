"""Cuts the power at every flash operation of a journal's life, on the real VfsLfs2.

`micropython journal_campaign.py FIRMWARE SHIMS SCENE SABOTAGE`. Before each step of the scene the
flash is copied; the step is run on such copies once for each flash operation and cut mode. After
the cut a fresh device gets what the flash holds and is mounted, and the journal on it is held
against what it was before the step and what it is after it. The last line printed is JSON.
"""

import io
import json
import sys

import vfs

sys.path.insert(0, sys.argv[1])
sys.path.append(sys.argv[2])

import journal_sabotage
from flashdev import MODES, FlashDevice
from node.errors import JournalError
from node.store.journal import Journal
from node.wire import uplink

SIZE = 16 * 4096
ALL = 1 << 30

# appends, a receipt after so many, segment bytes, segments at most, of them archived
SCENES = {
    "ring": (120, 8, 1024, 128, 0),
    "full": (120, 40, 256, 5, 0),
    "archive": (72, 8, 256, 9, 4),
}


class PowerCut(Exception):
    """The CPU stops here."""


def cut():
    raise PowerCut


class Board:
    """A board with a flash of its own that holds `image`, mounted at /f."""

    def __init__(self, image, segment_bytes, max_segments, archive):
        self._flash = io.BytesIO(image)
        self.device = FlashDevice(self._flash, 0, SIZE, cut)
        self._limits = (segment_bytes, max_segments, lambda: 0xBADCAFE1, archive)
        file_system = vfs.VfsLfs2(self.device, progsize=32, readsize=32, lookahead=32)
        vfs.mount(file_system, "/f")

    def open(self):
        return Journal("/f/journal", *self._limits)

    def off(self):
        """What the flash holds. Nothing changes it any more: open files are finalised late."""
        vfs.umount("/f")
        self.device.dead = True
        return self._flash.getvalue()


def body(n):
    return uplink.encode_body(n, 0, [(1 + i, 1_000_000_000 + n) for i in range(1 + 2 * (n % 3))])


def steps(appends, every, archive):
    """(kind, argument) of each step: records of three priorities, receipts with holes, and for an
    archive that some are wanted again."""
    yield "create", 0
    for n in range(1, appends + 1):
        yield "append", n
        if n % every == 0:
            # Leaves the newest records; every third receipt covers all.
            yield "trim", n if n % 3 == 0 else n - every // 3
        if archive and n % 30 == 20:
            yield "resend", n


def play(board, step):
    """Do one step; the sequence given, or 0."""
    journal = board.open()
    kind, n = step
    if kind == "append":
        return journal.append(body(n), 2 if n % 25 == 0 else n % 10 == 0)
    if kind == "trim":
        journal.trim(journal.epoch, [(1, n // 2), (n // 2 + 1, n), (n + 2, n + 9)])
    if kind == "resend":
        assert journal.resend(n - 16, n - 12) > 0
    return 0


def observe(journal):
    """All that a journal says, records last."""
    dropped = sorted(journal.dropped.items())
    depth = journal.depth
    records = journal.oldest(ALL, ALL)
    return [journal.epoch, dropped, depth, journal.corrupt, records]


def judge(seen, next_sequence, before, after, given, used):
    """What is wrong with the journal after a cut, or an empty text."""
    written = bool(given) and next_sequence > given
    if next_sequence <= used:
        return "sequence given twice"
    allowed = [before, after]
    if given:  # what was dropped for it is gone, the record itself is not there yet
        allowed.append([after[0], after[1], after[2] - 1, after[3], after[4][:-1]])
    if seen not in allowed:
        return "lost, doubled or miscounted"
    if written != (given in [sequence for sequence, _ in seen[4]]):
        return "numbering skips or repeats"
    return ""


def formatted():
    """An empty file system."""
    flash = io.BytesIO(b"\xff" * SIZE)
    device = FlashDevice(flash, 0, SIZE, cut)
    vfs.VfsLfs2.mkfs(device, progsize=32, readsize=32, lookahead=32)
    return flash.getvalue()


class Campaign:
    """One scene, cut everywhere."""

    def __init__(self, scene):
        appends, every, *self.limits = SCENES[scene]
        self.steps = list(steps(appends, every, self.limits[-1]))
        self.used = 0
        self.cuts = 0
        self.bad = []
        self.operations = {}
        self.erases = {}

    def _board(self, image):
        return Board(image, *self.limits)

    def run(self):
        """All steps; stops at the third fault."""
        image, before = formatted(), None
        for step in self.steps:
            board = self._board(image)
            given = play(board, step)
            done = board.off()
            self._count(step[0], board.device)
            operations = board.device.operations
            board = self._board(done)
            after = observe(board.open())
            board.off()
            for n in range(operations):
                for mode in MODES:
                    what = self._cut(image, step, n, mode, before or after, after, given)
                    if what:
                        self.bad.append([step[0], step[1], n, mode, what])
                    if len(self.bad) >= 3:
                        return
            image, before = done, after
            self.used = given or self.used

    def _count(self, kind, device):
        self.operations[kind] = self.operations.get(kind, 0) + device.operations
        self.erases[kind] = self.erases.get(kind, 0) + device.erases

    def _cut(self, image, step, n, mode, before, after, given):
        """Cut operation `n` of the step; what is wrong then, or an empty text."""
        self.cuts += 1
        board = self._board(image)
        board.device.cut_after, board.device.cut_mode = n, mode
        try:  # noqa: SIM105  MicroPython has no contextlib
            play(board, step)
        except (PowerCut, OSError, JournalError):
            # littlefs was left in the middle of a call: closing the file may fail on top of it.
            pass
        if not board.device.dead:
            return "the step has fewer operations than before"
        try:
            board = self._board(board.off())
            journal = board.open()
            next_sequence = journal.next_sequence
            what = judge(observe(journal), next_sequence, before, after, given, self.used)
            if not what and journal.append(b"next") != next_sequence:
                what = "does not go on"
            board.off()
        except Exception as e:  # whatever it is, a node must not meet it
            what = repr(e)
        return what


journal_sabotage.apply(sys.argv[4])
campaign = Campaign(sys.argv[3])
campaign.run()
print(
    json.dumps(
        {
            "cuts": campaign.cuts,
            "bad": campaign.bad,
            "operations": campaign.operations,
            "erases": campaign.erases,
        }
    )
)
