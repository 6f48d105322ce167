"""Heartbeats of a mains node's tasks: the watchdog is fed while every one of them is heard."""

import time


class Heartbeats:
    """Tasks by name, each with the time within which it must be heard again."""

    def __init__(self) -> None:
        self._tasks: dict = {}

    def expect(self, name: str, within_ms: int) -> None:
        """From now on `name` beats at least once in `within_ms` (up to 2^28)."""
        self._tasks[name] = [time.ticks_ms(), within_ms]

    def beat(self, name: str) -> None:
        """`name` is alive; KeyError where nobody expects it."""
        self._tasks[name][0] = time.ticks_ms()

    def leave(self, name: str) -> None:
        """`name` has ended as it should."""
        self._tasks.pop(name, None)

    def silent(self) -> "str | None":
        """The first task that was not heard in its time."""
        now = time.ticks_ms()
        for name, (at, within_ms) in self._tasks.items():
            if time.ticks_diff(now, at) > within_ms:
                return name
        return None
