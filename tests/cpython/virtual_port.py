"""A twin's port whose time moves when a test says so: for parts of the modem twin alone."""

from collections.abc import Callable
from itertools import count

from hil.virtual.clock import Event, EventQueue

START_US = 1_800_000_000_000_000


class Port:
    """A UartPort; `run` plays what is due. `longest_us` is the farthest that a timer was set."""

    def __init__(self) -> None:
        self.time_us = START_US
        self.queue = EventQueue(count())
        self.sent: list[tuple[bytes, int]] = []
        self.sockets = 0
        self.longest_us = 0

    def now(self) -> int:
        return self.time_us

    def send(self, data: bytes, due_us: int) -> None:
        self.sent.append((data, due_us))

    def call_at(self, due_us: int, fn: Callable[[], None]) -> Event:
        self.longest_us = max(self.longest_us, due_us - self.time_us)
        return self.queue.add(due_us, fn)

    def real(self, change: int) -> None:
        self.sockets += change

    def kick(self) -> None:
        pass

    @property
    def seconds(self) -> float:
        """Since the start."""
        return (self.time_us - START_US) / 1_000_000

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        end = self.time_us + int(seconds * 1_000_000)
        while (head := self.queue.head()) is not None and head[0] <= end:
            self.time_us = max(self.time_us, head[0])
            self.queue.pop()()
        self.time_us = end
