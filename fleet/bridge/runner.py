"""Bridges at work: each in a thread of its own, again and again, whatever goes wrong with it."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from fleet.alarms.backoff import pause_us
from fleet.bridge import cursors, opening
from fleet.bridge.cursors import Counts
from fleet.bridge.errors import BridgeError
from fleet.bridge.mapping import Mapped
from fleet.bridge.north import forwarder, outbox
from fleet.bridge.north.forwarder import Forwarder, Told
from fleet.bridge.north.targets import Target
from fleet.bridge.pump import Pump
from fleet.db.base import Database
from fleet.errors import Refusal
from fleet.registry.operations import now_us

PURGE_US = 600 * 1_000_000

log = structlog.get_logger("bridge")


class Job:
    """One bridge: `once` does what there is to do. Its name is held as long as it is open."""

    def __init__(self, data: Path, name: str, every_s: int) -> None:
        self.name, self.every_s = name, every_s
        folder = data / "bridge"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / f"{name}.run.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise BridgeError(f"bridge {name} is at work in another process") from None

    def once(self, stop: Callable[[], bool]) -> Counts | Told:
        """All that there is now; Refusal."""
        raise NotImplementedError

    def failed(self, error: str) -> None:
        """It cannot go on now."""

    def close(self) -> None:
        """Let go of everything."""
        self._lock.release()

    @contextlib.contextmanager
    def _or_let_go(self) -> Iterator[None]:
        """A job that cannot be opened does not hold its name."""
        try:
            yield
        except BaseException:
            self._lock.release()
            raise


class Reading(Job):
    """A source that is read."""

    def __init__(self, data: Path, database: Database, mapped: Mapped) -> None:
        super().__init__(data, mapped.name, mapped.every_s)
        self._database = database
        with self._or_let_go():
            with database.begin() as session:
                cursors.open_source(session, mapped.name, mapped.kind)
            self._source = opening.source(mapped)
        letters = opening.letters(data, mapped.name)
        self._pump = Pump(database, mapped.name, mapped.rules, self._source, letters)

    def once(self, stop: Callable[[], bool]) -> Counts:
        return self._pump.round(stop)

    def failed(self, error: str) -> None:
        with self._database.begin() as session:
            cursors.failed(session, self.name, error, now_us())
        self._pump.forget()

    def close(self) -> None:
        self._source.close()
        super().close()


class Forwarding(Job):
    """A platform that is told."""

    def __init__(self, data: Path, database: Database, target: Target) -> None:
        super().__init__(data, target.name, target.every_s)
        self._database = database
        with self._or_let_go():
            with database.begin() as session:
                outbox.open_target(session, target)
            self._platform, at_once = forwarder.connect(target)
        self._purged_us = 0
        self._forwarder = Forwarder(database, target, self._platform, at_once)

    def failed(self, error: str) -> None:
        with self._database.begin() as session:
            outbox.mark_failed(session, self.name, [], error, now_us())

    def once(self, stop: Callable[[], bool]) -> Told:
        sent = refused = 0
        while not stop():
            told = self._forwarder.go()
            sent, refused = sent + told.sent, refused + told.refused
            if not told.more:
                break
        if now_us() - self._purged_us > PURGE_US:
            self._purged_us = now_us()
            with self._database.begin() as session:
                outbox.purge(session, self._purged_us)
        return Told(sent, refused)

    def close(self) -> None:
        self._platform.close()
        super().close()


def serve(jobs: Sequence[Job], stopping: threading.Event) -> None:
    """Each of them again and again until `stopping` is set."""
    threads = [
        threading.Thread(target=_serve_one, args=(job, stopping), name=job.name, daemon=True)
        for job in jobs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():  # a join without an end would hold back signals
            thread.join(0.5)


def _serve_one(job: Job, stopping: threading.Event) -> None:
    failures = 0
    while not stopping.is_set():
        wait = float(job.every_s)
        try:
            counts = job.once(stopping.is_set)
            failures = 0
            if any(counts):
                log.info("bridge", name=job.name, **counts._asdict())
        except Exception as e:  # whatever it is, the next round begins anew
            failures += 1
            wait = min(wait, pause_us(failures) / 1_000_000)
            reason = str(e) if isinstance(e, Refusal) else repr(e)[:300]
            log.warning("a bridge cannot go on", name=job.name, reason=reason)
            try:
                job.failed(" ".join(reason.split()))
            except Exception as again:  # the fleet's own database, then
                log.error("the database does not take it", reason=repr(again)[:300])
        stopping.wait(wait)
