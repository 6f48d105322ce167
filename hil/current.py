"""The fixture `current`: what the node drew, as a trace with its mean, its charge, its picture.

    mark = current.mark(); node.wait(3600); trace = current.since(mark)
    trace.mean_ua(), .mean_ua(begin_us, end_us), .charge_uc(), .peak_ua(), .plot(path)

On the virtual rig it is computed from hw/chips, hw/boards and the modem twin's states.
"""

from pathlib import Path
from typing import Any

from hil import plot


class Trace:
    """`samples`: microseconds of the node's time, and microampere from then on, to `end_us`."""

    def __init__(self, samples: list[tuple[int, int]], end_us: int) -> None:
        self.samples = samples
        self.end_us = end_us

    @property
    def begin_us(self) -> int:
        """Of the first sample."""
        return self.samples[0][0] if self.samples else self.end_us

    def mean_ua(self, begin_us: int | None = None, end_us: int | None = None) -> float:
        """Between two times; of all of it without them."""
        return plot.mean_ua(self.samples, *self._ends(begin_us, end_us))

    def charge_uc(self, begin_us: int | None = None, end_us: int | None = None) -> float:
        """Microcoulombs between two times."""
        return plot.charge_uc(self.samples, *self._ends(begin_us, end_us))

    def peak_ua(self) -> int:
        """The highest."""
        return max((ua for _, ua in self.samples), default=0)

    def wakes(self, floor_ua: int = 1000, apart_us: int = 100_000) -> list["Trace"]:
        """The parts above the floor, those nearer to each other than `apart_us` as one."""
        found: list[Trace] = []
        ends = [at for at, _ in self.samples[1:]] + [self.end_us]
        for (at, ua), end in zip(self.samples, ends, strict=True):
            if ua < floor_ua:
                continue
            if not found or at - found[-1].end_us > apart_us:
                found.append(Trace([], at))
            found[-1].samples.append((at, ua))
            found[-1].end_us = end
        return found

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_us - self.begin_us) / 1e6

    def plot(self, path: Path, title: str = "Current") -> None:
        """An SVG picture."""
        path.write_text(plot.current_svg(self.samples, title, self.end_us), encoding="utf-8")

    def _ends(self, begin_us: int | None, end_us: int | None) -> tuple[int, int]:
        return (
            self.begin_us if begin_us is None else begin_us,
            self.end_us if end_us is None else end_us,
        )


class CurrentTrace:
    """The meter of a place."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def mark(self) -> int:
        """Now, in microseconds of the node's time."""
        return int(self._driver.mark())

    def since(self, mark: int) -> Trace:
        """From the mark to now."""
        end = self.mark()
        return Trace(list(self._driver.samples(mark)), end)
