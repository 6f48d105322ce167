"""A node's current over a while: steps, their charge and mean, and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hil import plot


class Trace(NamedTuple):
    """`samples` are (microseconds, microampere from then on), times rising; `computed` tells a
    model's from a meter's.
    """

    begin_us: int
    end_us: int
    samples: Sequence[tuple[int, int]]
    computed: bool

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_us - self.begin_us) / 1e6

    def mean_ua(self, begin_s: float = 0.0, end_s: float | None = None) -> float:
        """The mean between two moments, in seconds since its begin."""
        return plot.mean_ua(self.samples, *self._between(begin_s, end_s))

    def charge_uc(self, begin_s: float = 0.0, end_s: float | None = None) -> float:
        """The charge between two moments, in microcoulombs."""
        return plot.charge_uc(self.samples, *self._between(begin_s, end_s))

    def peak_ua(self) -> int:
        """The most."""
        return max((ua for _, ua in self.samples), default=0)

    def least_ua(self) -> int:
        """The least."""
        return min((ua for _, ua in self.samples), default=0)

    def plot(self, path: Path, title: str = "Current") -> Path:
        """Write an SVG."""
        path.write_text(plot.current_svg(self.samples, title, self.end_us))
        return path

    def _between(self, begin_s: float, end_s: float | None) -> tuple[int, int]:
        end_us = self.end_us if end_s is None else self.begin_us + round(end_s * 1e6)
        return self.begin_us + round(begin_s * 1e6), min(end_us, self.end_us)
