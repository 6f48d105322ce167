"""One board from unknown to running: identity, journal, writing, mark, first boot."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fleet.flashing import device_files, first_boot, identity, journal_export, marks, partitions
from fleet.flashing.board_session import BAUD, BoardSession, Piece
from fleet.flashing.errors import FlashError, Interrupted, JournalAtRisk
from fleet.flashing.esptool_run import Stop
from fleet.flashing.identity import Identity
from fleet.flashing.plan import Plan
from fleet.flashing.ports import Port

FLASHED, UNCHANGED, SKIPPED = "flashed", "unchanged", "skipped"
FAILED, INTERRUPTED = "failed", "interrupted"


def nothing(port: Port, board: Identity) -> None:
    """What an order does before a board's journal is overwritten, unless told otherwise."""


class Target(NamedTuple):
    """What the board must be, from its board file; `vfs` names the partition with the journal.

    `rows`, the file's partition table, tells where that lies on a board that has lost its own.
    """

    board: str
    chip: str
    flash_bytes: int
    vfs: str = "vfs"
    rows: tuple[partitions.Partition, ...] = ()


class Order(NamedTuple):
    """What is to be done with each board.

    `plan()` gives what is to be written, or raises a FlashError; it is called once the board is
    known, so that the plan may be made meanwhile. `watch_s` seconds for its first boot, 0: not
    watched. `everything` writes what is there already; `resume` leaves boards that have the plan;
    `journal_folder` None: a journal on the board is discarded. `before_overwrite(port, identity)`
    is called when a journal was saved and is about to go; a FlashError of it refuses the board.
    """

    target: Target
    plan: Callable[[], Plan]
    everything: bool = False
    resume: bool = False
    journal_folder: Path | None = Path()
    watch_s: float = first_boot.PATIENCE
    baud: int = BAUD
    before_overwrite: Callable[[Port, Identity], None] = nothing


class Result(NamedTuple):
    """How one board ended. `written` names regions; `seconds` without the first boot's watch.

    `slowed`: the line failed at the rate that was asked for, and a slower one worked.
    """

    port: str
    result: str
    node_id: str = ""
    mac: str = ""
    chip: str = ""
    seconds: float = 0.0
    written: tuple[str, ...] = ()
    written_bytes: int = 0
    slowed: bool = False
    journal: str = ""
    selftest: dict[str, Any] | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether the board is as ordered."""
        return self.result in (FLASHED, UNCHANGED, SKIPPED)


class Progress(NamedTuple):
    """Where one board is: `fraction` 0..1 of the bytes."""

    port: str
    phase: str
    fraction: float


Tell = Callable[[Progress], None]


class _Work:
    """The state of one board's run, so that an error at any point finds what is known."""

    def __init__(self, port: Port, order: Order, stop: Stop, tell: Tell) -> None:
        self.port, self.order, self.stop = port, order, stop
        self._tell = tell
        self.board: Identity | None = None
        self.region = ""
        self.journal = ""
        self.marked = False
        self._pieces: dict[str, tuple[Piece, int]] = {}  # and the bytes before it
        self.plan: Plan | None = None

    def take_plan(self) -> Plan:
        """The plan, waited for."""
        self.plan = self.order.plan()
        done = 0
        for piece in self.plan.pieces:
            self._pieces[piece.path] = piece, done
            done += piece.size
        return self.plan

    def say(self, phase: str, fraction: float = 0.0) -> None:
        self._tell(Progress(self.port.name, phase, fraction))

    def mark(self, state: str) -> None:
        if self.board is not None and self.plan is not None:
            marks.put(
                marks.Mark(
                    self.board.mac.hex(), self.board.node_id, self.port.name,
                    self.plan.digest, state, self.region,
                )
            )  # fmt: skip
            self.marked = True

    def progress(self, path: str, percent: float) -> None:
        """esptool tells of a piece; the mark on disk follows region by region."""
        piece, before = self._pieces.get(path) or next(iter(self._pieces.values()))
        if piece.name != self.region:
            self.region = piece.name
            self.mark(marks.WRITING)
        total = sum(piece.size for piece, _ in self._pieces.values())
        self.say(piece.name, (before + piece.size * percent / 100) / total)


def _save_journal(session: BoardSession, work: _Work) -> None:
    """Save the journal that the board may have in its file system, before that is overwritten.

    JournalAtRisk where there is one that cannot be read: only --discard-journal goes on then.
    """
    folder = work.order.journal_folder
    if folder is None or work.board is None:
        return
    target = work.order.target
    try:
        # By the board's own table: the one that is to be written may have it elsewhere.
        rows = partitions.decode(session.raw_table)
    except partitions.PartitionError:
        rows = list(target.rows)  # it is blank or damaged
    vfs = next((row for row in rows if row.label == target.vfs), None)
    if vfs is None:
        return

    def read(offset: int, size: int) -> bytes:
        return session.read_region(vfs.offset + offset, size)

    try:
        files = device_files.read_folder(journal_export.FOLDER, vfs.size, read)
    except device_files.DamagedFiles as e:
        raise JournalAtRisk(
            f"{work.port.name}: the board's file system is damaged and may hold a journal ({e}):"
            " --discard-journal gives it up"
        ) from None
    if files:
        try:
            work.journal = str(journal_export.save(folder, work.board.mac, files))
        except OSError as e:
            raise JournalAtRisk(
                f"{work.port.name}: the journal cannot be saved to {folder}: {e.strerror}:"
                " --journal-dir names another folder, --discard-journal gives it up"
            ) from None
        work.order.before_overwrite(work.port, work.board)


def _has_table(session: BoardSession, plan: Plan) -> bool:
    wanted = [piece for piece in plan.pieces if piece.offset == partitions.TABLE_OFFSET]
    return all(session.raw_table == Path(piece.path).read_bytes() for piece in wanted)


def _write(session: BoardSession, work: _Work) -> tuple[tuple[str, ...], int]:
    order = work.order
    work.say("identify")
    work.board = session.identify()
    target = order.target
    identity.check_board(work.port.name, work.board, target.chip, target.flash_bytes)
    identity.check_writable(work.port.name, work.board, [])
    if not order.resume:
        work.say("journal")
        _save_journal(session, work)
    plan = work.take_plan()
    identity.check_writable(work.port.name, work.board, list(plan.regions))
    if order.resume:
        mark = marks.get(work.board.mac)
        done = mark is not None and mark.finished and mark.plan == plan.digest
        # A board that was erased or got another table since is not finished any more.
        if done and _has_table(session, plan):
            return (), -1
        work.say("journal")
        _save_journal(session, work)
    work.region = plan.pieces[0].name
    work.mark(marks.WRITING)
    report = session.write(
        list(plan.pieces),
        options=() if order.everything else ("--skip-flashed",),
        on_progress=work.progress,
    )
    offsets = {offset for offset, _ in report.wrote}
    written = [piece for piece in plan.pieces if piece.offset in offsets]
    work.mark(marks.DONE)
    return tuple(dict.fromkeys(piece.name for piece in written)), sum(p.size for p in written)


def _watch(session: BoardSession, work: _Work) -> dict[str, Any] | None:
    work.say("first boot", 1.0)
    with session.console() as console:
        session.reset(console)
        try:
            boot = first_boot.watch(
                work.port.name, console, patience=work.order.watch_s, stop=lambda: work.stop.wanted
            )
        except first_boot.FirstBootError:
            if work.stop.wanted:
                return None
            work.region = "first boot"
            work.mark(marks.FAILED)
            raise
    return boot.selftest


def flash_board(port: Port, order: Order, stop: Stop, tell: Tell) -> Result:
    """Flash one board and watch it start; never raises for what may befall a board."""
    work = _Work(port, order, stop, tell)
    began = time.monotonic()
    ended = 0.0
    written: tuple[str, ...] = ()
    size = 0
    slowed = False
    selftest = None
    result, error = FAILED, ""
    try:
        with BoardSession(port, baud=order.baud, stop=stop) as session:
            written, size = _write(session, work)
            slowed = session.retried
            ended = time.monotonic()
            result = SKIPPED if size < 0 else FLASHED if written else UNCHANGED
            if order.watch_s and result != SKIPPED:
                selftest = _watch(session, work)
    except Interrupted:
        result = INTERRUPTED
        error = f"{port.name}: interrupted" + (f" at region {work.region}" if work.marked else "")
        if work.marked:
            work.mark(marks.INTERRUPTED)
    except (FlashError, ValueError, OSError) as e:
        result, error = FAILED, " ".join(str(e).split())
        if work.marked and not ended:
            work.mark(marks.FAILED)
            error += f" (in region {work.region})"
    board = work.board
    return Result(
        port.name,
        result,
        board.node_id if board else "",
        board.mac.hex() if board else "",
        board.chip if board else "",
        round((ended or time.monotonic()) - began, 2),
        written,
        max(size, 0),
        slowed,
        work.journal,
        selftest,
        error,
    )
