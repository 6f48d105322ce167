"""Trains of pulses on output pins, made in the main loop: to some milliseconds."""

import time


class Train:
    """`count` pulses of `width` ms with `gap` ms between them. With a `second` pin it is a wheel:
    two contacts that overlap, the second one later by a third of the pulse.
    """

    def __init__(self, first, second, active, count, width, gap):
        self._first = first
        self._second = second
        self._active = active
        self._left = count
        self._period = width + gap
        # When, from a pulse's begin, what happens: as the virtual board's wheel turns.
        if second is None:
            self._edges = ((0, first, 1), (width, first, 0))
        else:
            step = max(width // 3, 60)
            self._edges = ((0, first, 1), (step, second, 1), (2 * step, first, 0),
                           (3 * step, second, 0))  # fmt: skip
        self._begun = False  # the first pulse is whole, whatever has been said before it
        self._began = time.ticks_ms()
        self._at = 0

    def due(self, now):
        """Milliseconds until the next edge; None when there is none any more."""
        if not self._left:
            return None
        if not self._begun:
            return 0
        return max(0, time.ticks_diff(time.ticks_add(self._began, self._edges[self._at][0]), now))

    def go(self, now):
        """Make the edges that are due."""
        if not self._begun:
            self._begun, self._began = True, now
        while self._left and self.due(now) == 0:
            _, pin, closed = self._edges[self._at]
            pin(self._active if closed else 1 - self._active)
            self._at += 1
            if self._at == len(self._edges):
                self._at = 0
                self._left -= 1
                self._began = time.ticks_add(self._began, self._period)

    def stop(self):
        """Both contacts open."""
        self._left = 0
        for pin in (self._first, self._second):
            if pin is not None:
                pin(1 - self._active)
