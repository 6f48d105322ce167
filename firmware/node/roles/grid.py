"""Sampling on a grid of time: each slot once, however often the node restarts within it."""

from node import clock
from node.errors import JournalError
from node.wire import uplink


class Grid:
    """Slots of `period` seconds since 1970. The newest record tells which slot was taken last."""

    def __init__(self, period: int, state, journal, key: str = "slot") -> None:
        self.period = period
        self._key = key  # in RTC memory; another one for a second grid of the same node
        self._state = state
        self._journal = journal

    def last(self) -> int:
        """The slot last recorded, or -1. RTC memory knows; after a cold boot the journal does."""
        slot = self._state.get(self._key)
        if slot is None:
            try:
                body = self._journal().last_body
            except JournalError as e:
                self._state.set("error", e.code)
                return -1
            slot = uplink.body_time(body) // self.period if body else -1
            self._state.set(self._key, slot)
        return slot

    def open(self, now: int) -> bool:
        """Whether the slot of `now` has no record yet. Without a clock nobody can tell: yes."""
        slot = now // self.period
        # One that lies further ahead than the next was taken by a clock that was wrong.
        return not clock.is_set() or not slot <= self.last() <= slot + 1

    def taken(self, now: int) -> None:
        """The slot of `now` has its record."""
        self._state.set(self._key, now // self.period)

    def next(self, now: int) -> int:
        """When the next slot begins, in s since 1970."""
        return (now // self.period + 1) * self.period
