"""Many frames, one commit: the thread between the listeners and the database.

Listeners only queue. What was said is answered behind the commit, in the loop of its connection;
while the database takes nothing, nobody is told anything.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog
from sqlalchemy.orm import Session

from fleet.db.base import Database, is_trouble
from fleet.legacy import intake, links
from fleet.legacy.intake import Arrival, Stored
from fleet.legacy.links import Clash, Home, Spoke
from fleet.legacy.mapping import Unmapped

BATCH = 1_000
GATHER_S = 0.02  # how long a batch waits for company
QUEUE = 8_000  # frames that wait; behind them connections are not read
RETRY_S = (0.2, 10.0)  # first and longest pause while the database does not take a batch
REFRESH_S = 5.0  # what was changed by a command is seen this late at most
_NOTED = 200_000  # unmapped keys that this process remembers to have told

log = structlog.get_logger("legacy")


class Item(NamedTuple):
    """Something to be committed. `done` is called in the loop behind the commit; `is_first`: the
    connection says for the first time who it is, or says it from elsewhere.
    """

    arrival: Arrival
    done: Callable[[Stored], None]
    unmapped: Sequence[Unmapped] = ()
    is_first: bool = False
    variant: str = ""
    clash: tuple[str, str] | None = None  # peers


class Commits:
    """The one way of listeners to the intake; start it in the loop that submits."""

    def __init__(self, database: Database, home: Home | None = None, most: int = QUEUE) -> None:
        """`most`: frames that wait before connections are read no more."""
        self._database = database
        self._home = home or Home()
        self._most = most
        self.counts: Counter[str] = Counter()
        self._queue: deque[Item] = deque()
        self._room: deque[Callable[[], None]] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._noted: set[tuple[str, str]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker = threading.Thread(target=self._work, name="legacy", daemon=True)

    def start(self) -> None:
        """Begin to commit."""
        self._loop = asyncio.get_running_loop()
        self._worker.start()

    def stop(self) -> None:
        """Finish the batch at hand; nobody is told anything about what is still queued."""
        self._stopping.set()
        self._wake.set()
        if self._worker.is_alive():
            self._worker.join(10)

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether nothing more ought to be queued."""
        return len(self._queue) >= self._most

    def submit(self, item: Item) -> bool:
        """Queue it. False: it is queued, but the queue is full: read no more until `when_room`."""
        self._queue.append(item)
        if not self._wake.is_set():
            self._wake.set()
        return len(self._queue) < self._most

    def when_room(self, call: Callable[[], None]) -> None:
        """Call back in the loop when half of the queue is free."""
        self._room.append(call)

    def _work(self) -> None:
        failures = 0
        batch: list[Item] = []
        while not self._stopping.is_set():
            if not batch:
                batch = self._gather()
                if not batch:
                    continue
            try:
                told = self._commit(batch)
            except Exception as e:  # whatever it is, this thread must live to try again
                pause = min(RETRY_S[0] * 2**failures, RETRY_S[1])
                failures = min(failures + 1, 30)
                self._noted.clear()  # what was noted in a batch that was rolled back was not
                self.counts["database retries"] += 1
                reason = (str(e).splitlines() or [""])[0]
                log.error(
                    "the database does not take a batch",
                    reason=f"{type(e).__name__}: {reason}"[:300], next_try_s=pause,
                )  # fmt: skip
                self._stopping.wait(pause)
                continue
            failures = 0
            self._tell(batch, told)
            batch = []

    def _gather(self) -> list[Item]:
        if not self._queue:
            self._wake.wait(0.2)
        self._wake.clear()
        if len(self._queue) < BATCH:
            time.sleep(GATHER_S)
        batch: list[Item] = []
        try:
            while len(batch) < BATCH:
                batch.append(self._queue.popleft())
        except IndexError:
            pass
        if self._queue:
            self._wake.set()
        return batch

    def _commit(self, batch: list[Item]) -> list[Stored]:
        """What became of each, committed; one that alone cannot be stored is refused."""
        try:
            with self._database.begin() as session:
                return self._write(session, batch)
        except Exception as e:
            if is_trouble(e):
                raise
            if len(batch) == 1:
                self.counts["poison"] += 1
                reason = (str(e).splitlines() or [""])[0]
                log.error(
                    "a frame cannot be stored", source=batch[0].arrival.source,
                    frame=batch[0].arrival.frame[:200].hex(), reason=reason[:300],
                )  # fmt: skip
                return [Stored(refused=1, why="cannot be stored")]
            return [each for item in batch for each in self._commit([item])]

    def _write(self, session: Session, batch: list[Item]) -> list[Stored]:
        told = intake.write(session, [item.arrival for item in batch])
        spoke = []
        strange = []
        for item, stored in zip(batch, told, strict=True):
            known = stored.terminal_id
            if not known:
                continue
            received_us = item.arrival.received_us
            if item.is_first or item.variant:
                spoke.append(Spoke(known, item.arrival.peer, item.variant, received_us))
            if item.clash is not None:
                said = item.arrival.source.address
                links.clashed(session, Clash(known, said, item.clash))
            strange += [(known, *each) for each in item.unmapped]
        if spoke:
            links.note(session, self._home, spoke)
        if strange:
            if len(self._noted) > _NOTED:
                self._noted.clear()
            links.unmapped(session, strange, self._noted)
        return told

    def _tell(self, batch: list[Item], told: list[Stored]) -> None:
        for stored in told:
            for name in ("new", "again", "conflicts", "kept", "refused"):
                self.counts[name] += getattr(stored, name)
        self.counts["frames stored"] += len(batch)
        if self._loop is None or self._loop.is_closed():
            return
        pairs = list(zip(batch, told, strict=True))
        try:
            self._loop.call_soon_threadsafe(self._told, pairs)
        except RuntimeError:  # the loop ended meanwhile: the terminals will repeat
            return

    def _told(self, pairs: list[tuple[Item, Stored]]) -> None:
        for item, stored in pairs:
            item.done(stored)
        if len(self._queue) <= self._most // 2:
            for _ in range(len(self._room)):
                self._room.popleft()()
