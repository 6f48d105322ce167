"""Many messages, one commit: the thread between the doors and the ingest.

Doors only queue. The thread takes what has gathered, has it committed, and then tells each message
what became of it; whatever happens before tells nobody anything.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import structlog

from fleet.uplink.ingest import Ingest, Outcome
from fleet.uplink.message import Message

BATCH = 500
GATHER_S = 0.02  # how long a batch waits for company
QUEUE = 5000
RETRY_S = (0.2, 10.0)  # first and longest pause while the database does not take a batch

log = structlog.get_logger("uplink")

Committed = Callable[[Outcome], None]
"""Called in the thread of the batches once the outcome is committed."""


class _Waiting(NamedTuple):
    message: Message
    committed: Committed
    failed: Callable[[], None] | None  # None: wait for the database, however long it takes


class Batches:
    """The one way to the ingest in a process. Submit and offer from any thread."""

    def __init__(self, ingest: Ingest) -> None:
        self.ingest = ingest
        self.counts: Counter[str] = Counter()
        self._queue: queue.Queue[_Waiting] = queue.Queue(QUEUE)
        self._stopping = threading.Event()
        self._failures = 0  # of the database, in a row
        self._closed_until = 0.0  # for offers, by time.monotonic()
        self._worker = threading.Thread(target=self._work, name="ingest", daemon=True)

    def start(self) -> None:
        """Begin to take batches."""
        self._worker.start()

    def stop(self) -> None:
        """Finish the batch at hand; nobody is told anything about what is still queued."""
        self._stopping.set()
        if self._worker.is_alive():
            self._worker.join(10)

    def submit(self, message: Message, committed: Committed) -> None:
        """Queue a message that waits for the database as long as it takes.

        Waits for room in the queue; returns without it only when this is stopping.
        """
        while not self._stopping.is_set():
            try:
                self._queue.put(_Waiting(message, committed, None), timeout=0.2)
                return
            except queue.Full:
                self.counts["queue full"] += 1

    def offer(self, message: Message, committed: Committed, failed: Callable[[], None]) -> bool:
        """Queue a message that its sender repeats by itself; never waits.

        False: not taken, the queue is full or the database has just failed. `failed` is called
        in place of `committed` when the database does not take the message.
        """
        if self._stopping.is_set() or time.monotonic() < self._closed_until:
            return False
        try:
            self._queue.put_nowait(_Waiting(message, committed, failed))
        except queue.Full:
            self.counts["queue full"] += 1
            return False
        return True

    def _gather(self) -> list[_Waiting]:
        try:
            batch = [self._queue.get(timeout=0.2)]
        except queue.Empty:
            return []
        if self._queue.qsize() < BATCH:
            time.sleep(GATHER_S)  # asleep, and not woken by each of those that come
        try:
            while len(batch) < BATCH:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _work(self) -> None:
        while not self._stopping.is_set():
            batch = self._gather()
            while batch:
                outcomes = self._process([waiting.message for waiting in batch])
                if outcomes is not None:
                    self._tell(batch, outcomes)
                    break
                batch = self._patient(batch)
                pause = max(0.0, self._closed_until - time.monotonic())
                if self._stopping.wait(pause if batch else 0):
                    return  # nothing is acknowledged

    def _process(self, messages: list[Message]) -> list[Outcome] | None:
        try:
            outcomes = self.ingest.process(messages)
        except Exception as e:  # whatever it is, this thread must live to try again
            pause = min(RETRY_S[0] * 2**self._failures, RETRY_S[1])
            self._failures = min(self._failures + 1, 30)
            self._closed_until = time.monotonic() + pause
            self.counts["database retries"] += 1
            first = (str(e).splitlines() or [""])[0]
            log.error(
                "the database does not take a batch",
                reason=f"{type(e).__name__}: {first}"[:300],
                next_try_s=pause,
            )
            return None
        self._failures = 0
        return outcomes

    def _patient(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Those who wait for the database; the others are told that it failed."""
        for waiting in batch:
            if waiting.failed is not None:
                _call(waiting.failed)
        return [waiting for waiting in batch if waiting.failed is None]

    def _tell(self, batch: list[_Waiting], outcomes: list[Outcome]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _call(lambda w=waiting, o=outcome: w.committed(o))  # type: ignore[misc]


def _call(told: Callable[[], None]) -> None:
    try:
        told()
    except Exception as e:  # paho amid a reconnect, a loop that has ended: the nodes will repeat
        log.error("an outcome could not be told", reason=repr(e)[:300])
