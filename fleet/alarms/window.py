"""The window of a rate rule, as it goes along with the readings of a series."""

from collections import deque
from collections.abc import Sequence

from fleet.alarms.rules import Rate


class Window:
    """Each reading is looked at once, however many lie within: who sends thousands of one moment
    must not make the others wait.
    """

    def __init__(self, rule: Rate, rows: Sequence[tuple[int, int]]) -> None:
        """`rows`: (us, value), oldest first."""
        self._rows, self._over_us = rows, rule.over_us
        self._sign = 1 if rule.is_rise else -1
        self._ahead = self._next = 0  # of the rows: the last one ahead of the window, the next one
        # (us, signed value) of those within that may be the lowest once the ones before are gone.
        self._lowest: deque[tuple[int, int]] = deque()

    def changed(self, time_us: int, value: int) -> int:
        """The greatest change in the rule's direction within the window that ends with this
        reading, which is none older than the one asked for before; 0 where there is none.

        Where samples are rarer than the window, the last one ahead of it counts in proportion:
        0.6 in two hours are 0.3 in one.
        """
        begin_us = time_us - self._over_us
        self._go_on(begin_us, time_us)
        best = self._sign * value - self._lowest[0][1] if self._lowest else 0
        if self._next:
            then_us, then = self._rows[self._ahead]
            if then_us < begin_us:
                moved = self._sign * (value - then)
                best = max(best, moved * self._over_us // (time_us - then_us))
        return max(best, 0)

    def _go_on(self, begin_us: int, end_us: int) -> None:
        rows, lowest = self._rows, self._lowest
        while self._next < len(rows) and rows[self._next][0] <= end_us:
            at_us, value = rows[self._next]
            while lowest and lowest[-1][1] >= self._sign * value:
                lowest.pop()
            lowest.append((at_us, self._sign * value))
            self._next += 1
        while lowest and lowest[0][0] < begin_us:
            lowest.popleft()
        while self._ahead + 1 < self._next and rows[self._ahead + 1][0] < begin_us:
            self._ahead += 1
