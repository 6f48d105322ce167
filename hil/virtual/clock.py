"""A board's virtual clock and the events that wait for it.

Time stands still while nothing asks; it moves when the VM's time moves, when the idle rule jumps,
and with real time while `run_real` is on.
"""

import heapq
from collections.abc import Callable
from itertools import count

Call = Callable[[], None]


class Event:
    """One call due at a time; the board's side of `hil.virtual.twin.Timer`."""

    __slots__ = ("_queue", "due_us", "fn")

    def __init__(self, due_us: int, fn: Call, queue: "EventQueue") -> None:
        self.due_us = due_us
        self.fn: Call | None = fn
        self._queue = queue

    def cancel(self) -> None:
        """Never call it; nothing happens when it was called already."""
        if self.fn is not None:
            self.fn = None
            self._queue.cancelled += 1


class EventQueue:
    """Events by due time; those due at the same time in the order in which they were asked for."""

    def __init__(self, order: "count[int]") -> None:
        self._heap: list[tuple[int, int, Event]] = []
        self._order = order
        self.cancelled = 0

    def add(self, due_us: int, fn: Call) -> Event:
        """`fn` is called when time reaches `due_us`; in the past means as soon as possible."""
        event = Event(due_us, fn, self)
        if self.cancelled > 64 and self.cancelled > len(self._heap) // 2:
            self._heap = [item for item in self._heap if item[2].fn is not None]
            heapq.heapify(self._heap)
            self.cancelled = 0
        heapq.heappush(self._heap, (due_us, next(self._order), event))
        return event

    def head(self) -> tuple[int, int] | None:
        """Due time and order of the earliest event."""
        while self._heap and self._heap[0][2].fn is None:
            heapq.heappop(self._heap)
            self.cancelled = max(0, self.cancelled - 1)
        return self._heap[0][:2] if self._heap else None

    def pop(self) -> Call:
        """Take the earliest event's call; only after `head` gave one."""
        event = heapq.heappop(self._heap)[2]
        fn, event.fn = event.fn, None
        assert fn is not None  # noqa: S101  `head` dropped the cancelled ones
        return fn

    def clear(self) -> None:
        """Drop all events."""
        for _, _, event in self._heap:
            event.fn = None
        self._heap.clear()
        self.cancelled = 0


class VirtualClock:
    """Microseconds since 1970 UTC, never going back. `real_time` gives real seconds.

    `wire` holds bytes on their way to the VM, `twins` the twins' own timers, `board` the rest: the
    stimulus and the board's timers.
    """

    def __init__(self, start_us: int, real_time: Callable[[], float]) -> None:
        self._now = start_us
        self._real_time = real_time
        self._since: float | None = None  # real time at which `_now` held, while running
        self._limit = 0  # running stops here: lateness of the loop is no virtual time
        self._speed = 1.0  # virtual seconds in a real one, while running
        order = count()
        self.wire = EventQueue(order)
        self.twins = EventQueue(order)
        self.board = EventQueue(order)

    @property
    def now_us(self) -> int:
        """The time now."""
        if self._since is None:
            return self._now
        passed = int((self._real_time() - self._since) * self._speed * 1_000_000)
        return max(self._now, min(self._now + passed, self._limit))

    def run_real(self, limit_us: int, speed: float = 1.0) -> None:
        """Let time pass with real time, `speed` times as fast, up to `limit_us`."""
        self._now = self.now_us
        self._speed = speed
        self._since = self._real_time()
        self._limit = limit_us

    def stop(self) -> None:
        """Time stands still again."""
        self._now = self.now_us
        self._since = None

    def advance(self, to_us: int) -> None:
        """Move to `to_us`, unless that has passed. Due events are left for `fire_due`."""
        self._now = max(self.now_us, to_us)
        if self._since is not None:
            self._since = self._real_time()

    def fire_due(self) -> None:
        """Make the calls that are due, in order of time."""
        while True:
            heads = [
                (head, queue)
                for queue in (self.wire, self.twins, self.board)
                if (head := queue.head()) is not None and head[0] <= self.now_us
            ]
            if not heads:
                return
            min(heads, key=lambda item: item[0])[1].pop()()
