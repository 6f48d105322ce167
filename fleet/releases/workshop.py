"""Deltas are made in the background, one at a time, each by a process of its own."""

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import structlog

from fleet.db.base import Database
from fleet.registry.operations import now_us
from fleet.releases import deltas, store
from fleet.releases.errors import ReleaseError
from fleet.wire import release

LONGEST_S = 900.0  # of one delta; then it has failed, and nodes get the full image
_LONGEST_REASON = 500

log = structlog.get_logger("releases")


class _Work(NamedTuple):
    sequence: int
    base: bytes
    folder: Path
    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]
    until: float


class Workshop:
    """`tick` every few seconds, in a thread; `close` at the end."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._work: _Work | None = None
        self._closed = False
        self._turn = threading.Lock()  # a tick may still run in its thread at the end

    @property
    def busy(self) -> bool:
        """Whether a delta is being made."""
        return self._work is not None

    def tick(self) -> None:
        """Keep what is done, and begin the next."""
        with self._turn:
            if self._closed:
                return
            if self._work is not None:
                if self._work.process.poll() is None and self._clock() < self._work.until:
                    return
                self._finish(self._work)
            self._begin()

    def wait(self) -> None:
        """Until what runs is done, or has taken too long."""
        if self._work is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._work.process.wait(max(self._work.until - self._clock(), 0.0))

    def close(self) -> None:
        """End what runs; it is begun anew by whoever is next."""
        with self._turn:
            self._closed = True
            work, self._work = self._work, None
            if work is not None:
                _end(work)

    def _begin(self) -> None:
        if not _can():
            return  # not installed with kapok[release]: nodes get full images meanwhile
        with self._database.read() as session:
            wanted = deltas.next_wanted(session)
            if wanted is None:
                return
            base = store.component(session, wanted.base_sequence, release.APPLICATION)
            new = store.component(session, wanted.sequence, release.APPLICATION)
        folder = Path(tempfile.mkdtemp(prefix="kapok-delta-"))
        (folder / "base").write_bytes(base)
        (folder / "new").write_bytes(new)
        errors = (folder / "errors").open("w+b")
        process = subprocess.Popen(
            [sys.executable, "-m", "fleet.releases.diff",
             *(str(folder / name) for name in ("base", "new", "patch"))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip
        until = self._clock() + LONGEST_S
        self._work = _Work(wanted.sequence, wanted.base, folder, process, errors, until)

    def _finish(self, work: _Work) -> None:
        self._work = None
        code = work.process.poll()
        patch, reason = b"", ""
        try:
            if code == 0:
                patch = (work.folder / "patch").read_bytes()
            elif code is None:
                reason = f"it took more than {LONGEST_S:.0f} s"
            else:
                work.errors.seek(0)
                said = work.errors.read().decode(errors="replace").strip().splitlines()
                reason = (said or [f"its process ended with {code}"])[-1][:_LONGEST_REASON]
        finally:
            _end(work)
        with self._database.begin() as session:
            if reason:
                deltas.failed(session, work.sequence, work.base, reason, now_us())
            else:
                deltas.done(session, work.sequence, work.base, patch, now_us())
        log.info("delta", to=work.sequence, base=work.base.hex(), size=len(patch), reason=reason)


def _can() -> bool:
    return importlib.util.find_spec("detools") is not None


def check() -> None:
    """ReleaseError where no delta can be made."""
    if not _can():
        raise ReleaseError("no detools here: pip install 'kapok[release]', with a compiler")


def _end(work: _Work) -> None:
    work.process.kill()
    work.process.wait()
    work.errors.close()
    shutil.rmtree(work.folder, ignore_errors=True)


def make_all(database: Database) -> int:
    """Make every delta that is wanted, here and now; how many. For who does not serve."""
    workshop, count = Workshop(database), 0
    try:
        workshop.tick()
        while workshop.busy:
            count += 1
            workshop.wait()
            workshop.tick()
    finally:
        workshop.close()
    return count
