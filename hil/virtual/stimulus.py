"""What the outside world does to a board's pins: schedules, and traces from CSV files."""

import csv
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fleet.errors import Refusal


class Adc(NamedTuple):
    """The voltage at an analogue pin changes; `wake_pin` is a data-ready line that goes high."""

    pin: int
    microvolts: int
    wake_pin: int | None = None
    wake_us: int = 100_000


class Pulse(NamedTuple):
    """A digital input goes high for `width_us`."""

    pin: int
    width_us: int = 100_000


class Level(NamedTuple):
    """A digital input changes for good."""

    pin: int
    value: int


class Do(NamedTuple):
    """Something happens to a device that hangs on the board: `act` is called."""

    act: Callable[[], None]


Change = Adc | Pulse | Level | Do
Schedule = Iterable[tuple[int, Change]]


class TraceError(Refusal, ValueError):
    """A trace cannot be used; the text names file, line and what is wrong."""


class Stimulus:
    """A schedule of (time in us since 1970 UTC, change), in order of time, drawn lazily.

    `applied` counts the changes by (kind, what the board did then): `Pulse`, `asleep`.
    """

    def __init__(self, schedule: Schedule = ()) -> None:
        self._changes = iter(schedule)
        self.applied: Counter[tuple[str, str]] = Counter()
        self.last_us: int | None = None  # time of the last change applied
        self.ended = False

    def next(self) -> tuple[int, Change] | None:
        """The next change, or None at the end; ValueError when time goes back."""
        item = next(self._changes, None)
        if item is None:
            self.ended = True
        elif self.last_us is not None and item[0] < self.last_us:
            raise ValueError(f"the stimulus goes back in time at {item[0]}")
        return item

    def count(self, kind: str, *states: str) -> int:
        """Changes of one kind applied so far, in these states of the board or in any."""
        return sum(n for (k, s), n in self.applied.items() if k == kind and s in (states or (s,)))


def merge(*schedules: Schedule) -> Iterator[tuple[int, Change]]:
    """Several schedules as one, in order of time."""
    return heapq.merge(*schedules, key=lambda item: item[0])


def pulses(
    pin: int, times_us: Iterable[int], width_us: int = 100_000
) -> Iterator[tuple[int, Change]]:
    """One pulse at each time."""
    return ((at, Pulse(pin, width_us)) for at in times_us)


def _time_us(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    if not 0 <= seconds < 4_102_444_800:  # 2100
        raise ValueError("time outside 1970 to 2100")
    return round(seconds * 1_000_000)


def read_trace(path: Path) -> Iterator[tuple[int, float]]:
    """(us since 1970 UTC, value) of a `time,value` CSV: time is ISO 8601 (UTC when it names no
    zone) or seconds since 1970. A first line that is no number is a heading; an empty value is a
    gap. TraceError names the first bad line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            last = -1
            for number, cells in enumerate(csv.reader(file), 1):
                if not cells or not any(cell.strip() for cell in cells):
                    continue
                try:
                    if len(cells) < 2:
                        raise ValueError("needs time,value")
                    if not cells[1].strip():
                        continue
                    at, value = _time_us(cells[0].strip()), float(cells[1])
                    if not -1e12 < value < 1e12:
                        raise ValueError("value is not a usable number")
                    if at < last:
                        raise ValueError("time goes back")
                except ValueError as e:
                    if number == 1:
                        continue
                    raise TraceError(f"{path}:{number}: bad line in trace: {e}") from None
                last = at
                yield at, value
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise TraceError(f"{path}: cannot read the trace: {e}") from None


def trace(
    path: Path,
    pin: int,
    microvolts: Callable[[float], int],
    *,
    wake_pin: int | None = None,
    shift_us: int = 0,
) -> Iterator[tuple[int, Change]]:
    """A trace as changes of an analogue input; `microvolts` is the sensor's curve."""
    for at, value in read_trace(path):
        yield at + shift_us, Adc(pin, microvolts(value), wake_pin)
