"""Step functions of virtual time, kept as they happen: the newest of them."""

from bisect import bisect_left, bisect_right

KEPT = 200_000  # steps
LEAST_US = 1_000  # shorter steps are one with what follows them


class Steps:
    """Times rise. Before the first step the value is `first`."""

    def __init__(self, first: int = 0) -> None:
        self.times: list[int] = []
        self.values: list[int] = []
        self._first = first

    def add(self, at_us: int, value: int) -> None:
        """From now on."""
        if self.values and self.values[-1] == value:
            return
        if self.times and at_us - self.times[-1] < LEAST_US:
            self.values[-1] = value
            if len(self.values) > 1 and self.values[-2] == value:
                self.times.pop()
                self.values.pop()
            return
        self.times.append(at_us)
        self.values.append(value)
        if len(self.times) > KEPT:
            del self.times[: KEPT // 4], self.values[: KEPT // 4]

    def at(self, us: int) -> int:
        """The value then."""
        place = bisect_right(self.times, us) - 1
        return self.values[place] if place >= 0 else self._first

    def between(self, begin_us: int, end_us: int) -> list[int]:
        """Times of the steps behind the begin, and before the end."""
        return self.times[bisect_right(self.times, begin_us) : bisect_left(self.times, end_us)]
