"""Cuts the power at every flash operation of a journal's life, on the real VfsLfs2.

`micropython journal_campaign.py FIRMWARE SHIMS SCENE SABOTAGE`. Before each step of the scene the flash is
copied; the step is run on such copies once for each flash operation and cut mode. After the cut a
copy of what the flash holds goes into a fresh device, is mounted, and the journal on it is held
against what it was before the step and what it is after it. Prints one line of JSON.
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

BLOCKS = 40
ALL = 1 << 30

# appends, a receipt after so many, segment bytes, segments at most
SCENES = {
    "ring": (200, 8, 1024, 128),
    "full": (120, 40, 256, 5),
}


class PowerCut(Exception):
    """The CPU stops here."""


def cut():
    raise PowerCut


class Board:
    """A flash with these bytes, mounted at /f."""

    def __init__(self, image, segment_bytes, max_segments):
        self.image = io.BytesIO(image)
        self.device = FlashDevice(self.image, 0, len(image), cut)
        self._limits = (segment_bytes, max_segments)
        file_system = vfs.VfsLfs2(self.device, progsize=32, readsize=32, lookahead=32)
        vfs.mount(file_system, "/f")

    def open(self):
        return Journal("/f/journal", self._limits[0], self._limits[1], lambda: 0xBADCAFE1)

    def off(self):
        """What the flash holds."""
        vfs.umount("/f")
        return self.image.getvalue()


def body(n):
    return b"record %d " % n * (1 + n % 3)


def steps(appends, every):
    """(kind, argument) of each step: records of three priorities, receipts with holes."""
    yield "create", 0
    for n in range(1, appends + 1):
        yield "append", n
        if n % every == 0:
            # Leaves the newest records; every third receipt covers all.
            yield "trim", n if n % 3 == 0 else n - every // 3


def play(board, step):
    """Do one step; the sequence given, or 0."""
    journal = board.open()
    kind, n = step
    if kind == "append":
        return journal.append(body(n), 2 if n % 25 == 0 else n % 10 == 0)
    if kind == "trim":
        journal.trim(journal.epoch, [(1, n // 2), (n // 2 + 1, n), (n + 2, n + 9)])
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
    allowed = [before, after]
    if given:  # what was dropped for it is gone, the record itself is not there yet
        allowed.append(after[:2] + [after[2] - 1, after[3], after[4][:-1]])
    if seen not in allowed:
        return "lost, doubled or miscounted"
    if written != (given in [sequence for sequence, _ in seen[4]]):
        return "numbering skips or repeats"
    if next_sequence <= used:
        return "sequence given twice"
    return ""


class Campaign:
    def __init__(self, scene):
        appends, every, self.segment_bytes, self.max_segments = SCENES[scene]
        self.steps = list(steps(appends, every))
        self.image = self._format()
        self.used = 0
        self.cuts = 0
        self.mended = 0
        self.bad = []
        self.operations = {}
        self.erases = {}

    def _format(self):
        image = io.BytesIO(b"\xff" * (BLOCKS * 4096))
        device = FlashDevice(image, 0, BLOCKS * 4096, cut)
        vfs.VfsLfs2.mkfs(device, progsize=32, readsize=32, lookahead=32)
        return image.getvalue()

    def _board(self, image):
        return Board(image, self.segment_bytes, self.max_segments)

    def run(self):
        before = None
        for step in self.steps:
            board = self._board(self.image)
            given = play(board, step)
            operations, kind = board.device.operations, step[0]
            self.operations[kind] = self.operations.get(kind, 0) + operations
            self.erases[kind] = self.erases.get(kind, 0) + board.device.erases
            done = board.off()
            board = self._board(done)
            after = observe(board.open())
            board.off()
            for n in range(operations):
                for mode in MODES:
                    self._cut(step, n, mode, before or after, after, given)
                    if len(self.bad) >= 3:
                        return
            self.image, before = done, after
            self.used = given or self.used

    def _cut(self, step, n, mode, before, after, given):
        board = self._board(self.image)
        board.device.cut_after, board.device.cut_mode = n, mode
        try:
            play(board, step)
            where = "not reached"
        except (PowerCut, OSError, JournalError):
            # littlefs was left in the middle of a call: closing the file may fail on top of it.
            where = "" if board.device.dead else "failed without a cut"
        board.device.dead = True  # whatever the VM still holds open
        self.cuts += 1
        try:
            board = self._board(board.off())
            journal = board.open()
            next_sequence = journal.next_sequence
            what = where or judge(
                observe(journal), next_sequence, before, after, given, self.used
            )
            if not what and journal.append(b"next") != next_sequence:
                what = "does not go on"
            board.off()
        except Exception as e:  # whatever it is, a node must not meet it
            what = repr(e)
        if what:
            self.bad.append([step[0], step[1], n, mode, what])


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
