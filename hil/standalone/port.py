"""The twin's port in real time."""

import asyncio
import time
from collections.abc import Callable
from itertools import count

from hil.standalone.lines import Line
from hil.virtual.clock import Event, EventQueue


class RealPort:
    """A UartPort whose time is this machine's: wall time at the start, monotonic from then on.

    To be made inside a running asyncio loop. `said` counts the bytes given to `line`.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._began_us = time.time_ns() // 1000
        self._began = self._loop.time()
        self._events = EventQueue(count())
        self._armed: asyncio.TimerHandle | None = None
        self._last_due = 0
        self.said = 0

    @property
    def baudrate(self) -> int:
        """The driver's rate, 0 where the line does not tell it: the modem's line asks for it."""
        return self._line.driver_baud()

    # -- UartPort -------------------------------------------------------------------------------

    def now(self) -> int:
        """As UartPort.now."""
        return self._began_us + int((self._loop.time() - self._began) * 1_000_000)

    def send(self, data: bytes, due_us: int) -> None:
        """As UartPort.send."""
        self._last_due = max(due_us, self._last_due, self.now())
        self.call_at(self._last_due, lambda: self._deliver(data))

    def call_at(self, due_us: int, fn: Callable[[], None]) -> Event:
        """As UartPort.call_at."""
        event = self._events.add(due_us, fn)
        self._arm()
        return event

    def real(self, change: int) -> None:
        """Nothing to do: all time is real."""

    def kick(self) -> None:
        """Nothing to do: all time is real."""

    # -- for whoever runs the twin --------------------------------------------------------------

    def power_cut(self) -> None:
        """Nothing of what is due will happen."""
        self._events.clear()
        self._last_due = 0
        self._arm()

    def _deliver(self, data: bytes) -> None:
        self.said += len(data)
        self._line.send(data)

    def _arm(self) -> None:
        head = self._events.head()
        due = None if head is None else self._began + (head[0] - self._began_us) / 1_000_000
        if self._armed is not None:
            if self._armed.when() == due:
                return
            self._armed.cancel()
        self._armed = None if due is None else self._loop.call_at(due, self._fire)

    def _fire(self) -> None:
        self._armed = None
        try:
            while (head := self._events.head()) is not None and head[0] <= self.now():
                self._events.pop()()
        finally:
            self._arm()
