"""From the event loop to the batches' thread, and back with what is committed."""

import asyncio
import threading
from collections import deque
from typing import NamedTuple

from fleet.uplink.batches import Batches
from fleet.uplink.ingest import Outcome
from fleet.uplink.message import Message

ANSWER_S = 8.0  # a node asks again after 15 s at the earliest; SQLite waits 5 s for a lock


class UnavailableError(Exception):
    """The database does not take it now. The node may repeat the same request."""


class _Told(NamedTuple):
    waiting: asyncio.Future[Outcome]
    outcome: Outcome | None  # None: the database failed


class Commits:
    """Used in one event loop; the batches may have other doors."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._loop = asyncio.get_running_loop()
        self._told: deque[_Told] = deque()
        self._lock = threading.Lock()
        self._is_awake = False

    async def commit(self, message: Message) -> Outcome:
        """What became of the message, once it is committed; UnavailableError.

        That may come too when the database is slow, and takes the message later: its claim is
        struck then, and the node repeats it under a new one.
        """
        waiting: asyncio.Future[Outcome] = self._loop.create_future()
        taken = self._batches.offer(
            message,
            lambda outcome: self._tell(_Told(waiting, outcome)),
            lambda: self._tell(_Told(waiting, None)),
        )
        if not taken:
            raise UnavailableError
        try:
            async with asyncio.timeout(ANSWER_S):
                return await waiting
        except TimeoutError:
            raise UnavailableError from None

    def _tell(self, told: _Told) -> None:
        """In the batches' thread: the loop is woken once for all that a batch tells."""
        with self._lock:
            self._told.append(told)
            if self._is_awake:
                return
            self._is_awake = True
        self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        with self._lock:
            told, self._told = self._told, deque()
            self._is_awake = False
        for waiting, outcome in told:
            if waiting.done():
                continue
            if outcome is None:
                waiting.set_exception(UnavailableError())
            else:
                waiting.set_result(outcome)
