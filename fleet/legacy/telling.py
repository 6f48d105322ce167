"""Orders reach their boxes: one look for all connections of a process, each order between two
polls of its box, and only by the process that claimed it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from fleet.db.base import Database
from fleet.legacy import orders
from fleet.legacy.orders import Order
from fleet.legacy.words import NotWords, only_words
from fleet.migration import answers
from fleet.registry.operations import now_us

LOOK_S = 2.0
_TRIES = 5  # to note an answer while the database is away
OVER, CLOSED, SILENT = "over", "closed", "silent"
_STATES = {OVER: orders.ANSWERED, CLOSED: orders.UNKNOWN, SILENT: orders.SILENT}

log = structlog.get_logger("legacy")


class Box(Protocol):
    """A box on its connection. `line` is held while something is asked on it."""

    line: asyncio.Lock

    async def tell(
        self, data: bytes, is_over: Callable[[bytes], bool], seconds: float
    ) -> tuple[str, bytes]:
        """Send it; (OVER, CLOSED or SILENT, what came)."""


class Orders:
    """The boxes of a process, and what they are told. Make it in the loop."""

    def __init__(self, database: Database, counts: Counter[str]) -> None:
        self._database, self._counts = database, counts
        self._boxes: dict[str, Box] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def came(self, terminal_id: str, box: Box) -> None:
        """A box said who it is; of two that say the same the newer one is told."""
        self._boxes[terminal_id] = box

    def left(self, terminal_id: str, box: Box) -> None:
        """Its connection is gone."""
        if self._boxes.get(terminal_id) is box:
            del self._boxes[terminal_id]

    def close(self) -> None:
        """Nothing more is told; what was sent and not answered ends as unknown."""
        for task in self._tasks.values():
            task.cancel()

    async def watch(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not self._boxes:
                continue
            try:
                await self.look()
            except Exception as e:  # a database that is away: an order's giver has its deadline
                log.error("cannot look for orders", reason=repr(e)[:300])

    async def look(self) -> None:
        """Begin with what waits for the boxes that are here."""
        now = now_us()
        found = await asyncio.to_thread(self._waiting)
        if any(order.expires_us + orders.GRACE_US < now for order in found):
            await asyncio.to_thread(self._settle)
        for order in found:
            box, key = self._boxes.get(order.terminal_id), order.terminal_id
            if box is None or order.state != orders.OPEN or key in self._tasks:
                continue
            task = asyncio.create_task(self._carry(box, order))
            self._tasks[key] = task
            task.add_done_callback(lambda _, key=key: self._tasks.pop(key, None))  # type: ignore[misc]

    async def _carry(self, box: Box, order: Order) -> None:
        try:
            async with box.line:
                if self._boxes.get(order.terminal_id) is not box:
                    return  # it left while another one asked: the next look finds it again
                if not await asyncio.to_thread(self._claim, order):
                    return
                state, answer = await self._told(box, order)
        except Exception as e:  # what was claimed ends as unknown, by its giver or by `settle`
            log.error("an order failed", terminal=order.terminal_id, reason=repr(e)[:300])
            return
        self._counts[f"orders {state}"] += 1
        log.info("an order ended", terminal=order.terminal_id, order=order.id, state=state)
        for _ in range(_TRIES):
            try:
                await asyncio.to_thread(self._end, order, state, answer)
                return
            except Exception as e:
                log.error("cannot note an answer", order=order.id, reason=repr(e)[:300])
                await asyncio.sleep(1.0)

    async def _told(self, box: Box, order: Order) -> tuple[str, str]:
        try:
            data = only_words(order.text)
        except NotWords as e:
            return orders.REFUSED, str(e)

        def is_over(came: bytes) -> bool:
            return answers.is_over(order.text, order.expects, answers.clean(came))

        how, came = await box.tell(data, is_over, (order.expires_us - now_us()) / 1e6)
        return _STATES[how], answers.clean(came)

    def _waiting(self) -> list[Order]:
        with self._database.read() as session:
            return orders.waiting(session)

    def _settle(self) -> None:
        with self._database.begin() as session:
            orders.settle(session, now_us() - orders.GRACE_US)

    def _claim(self, order: Order) -> bool:
        with self._database.begin() as session:
            return orders.claim(session, order.id, now_us())

    def _end(self, order: Order, state: str, answer: str) -> None:
        with self._database.begin() as session:
            orders.end(session, order.id, state, answer, now_us())
