"""What a place can do, whatever stands there: the strategy and the tests know no more.

Its supply is labgrid's PowerProtocol, so that labgrid's own drivers of hubs and sockets do.
"""

import abc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from re import Match
from typing import Any

from fleet.flashing.console import Console
from fleet.flashing.ports import Port


class BoardLine(abc.ABC):
    """A board's port, with reset and strap. The console tells what it has opened and when it last
    heard something.
    """

    opened: Console | None = None
    heard_s: float = 0.0  # by time.monotonic

    @abc.abstractmethod
    def port(self) -> Port:
        """Where it is plugged now; RigFault where it is not."""

    @abc.abstractmethod
    def reset(self) -> None:
        """A pulse on EN: the application boots."""

    @abc.abstractmethod
    def loader(self) -> None:
        """EN with the strap low: the ROM's loader."""

    @abc.abstractmethod
    def press(self, pin: str = "button") -> None:
        """A button at the pin of that name."""

    @abc.abstractmethod
    def renew(self) -> None:
        """Before a test: as far as the rig can, as at first but for what lies in flash; off then,
        or as it was.
        """

    @abc.abstractmethod
    def asleep(self) -> bool:
        """Whether the board is in deep sleep, as far as the rig can tell."""

    @abc.abstractmethod
    def told(self) -> dict[str, Any]:
        """What the rig knows of the board."""


class Clock(abc.ABC):
    """The time that the node lives in: real, or the virtual board's."""

    @abc.abstractmethod
    def now_us(self) -> int:
        """Microseconds since 1970 UTC."""

    @abc.abstractmethod
    def wait(self, seconds: float) -> None:
        """Let so much of the node's time pass."""

    @abc.abstractmethod
    def until(self, what: Callable[[], Any], seconds: float, step_s: float = 1.0) -> Any:
        """What `what` gives as soon as that is true, looked at each `step_s` of the node's time;
        its last value when `seconds` have passed.
        """


class NodeConsole(abc.ABC):
    """What the node prints, read all the time in the background."""

    @abc.abstractmethod
    def mark(self) -> int:
        """Here: for `since` and `expect`."""

    @abc.abstractmethod
    def since(self, mark: int = 0) -> str:
        """All that came behind the mark."""

    @abc.abstractmethod
    def expect(self, pattern: str, seconds: float, since: int | None = None) -> Match[str]:
        """The first match behind the mark (None: behind the last match), within seconds of the
        node's time; NotSeen with what came instead.
        """

    @abc.abstractmethod
    def lines(self) -> list[tuple[float, str]]:
        """All lines with the seconds since the place was taken."""

    @abc.abstractmethod
    def lent(self) -> AbstractContextManager[None]:
        """The port is another program's meanwhile."""


class Prompt(abc.ABC):
    """The node's MicroPython prompt. The node runs on, by a reset, when a visit ends."""

    @abc.abstractmethod
    def eval(self, expression: str) -> Any:
        """Its value, by way of JSON."""

    @abc.abstractmethod
    def exec(self, code: str) -> str:
        """What the code prints."""

    @abc.abstractmethod
    def leave(self, code: str) -> None:
        """Run code that ends the node's run, such as a reset or deep sleep."""


class Flash(abc.ABC):
    """What lies in the board's flash: firmware, and an identity."""

    @abc.abstractmethod
    def flash(self, node_type: str) -> None:
        """Runtime, supervisor, rescue and application of this tree; what is there is kept."""

    @abc.abstractmethod
    def provision(self, node_type: str, url: str, token: str, config: Mapping[str, Any]) -> str:
        """An identity of the fleet at `url`, and the configuration; the node id."""

    @abc.abstractmethod
    def read(self, label: str) -> bytes:
        """A partition."""

    @abc.abstractmethod
    def write(self, label: str, data: bytes) -> None:
        """Write a partition from its start."""


class ModemControl(abc.ABC):
    """The air and the SIM of a place whose modem is the twin, while it runs."""

    @abc.abstractmethod
    def set(self, **values: Any) -> Any:
        """Keys of a scenario: rsrp, snr, ecl ...; see docs/bench.md."""

    @abc.abstractmethod
    def event(self, name: str, **more: Any) -> Any:
        """Something befalls it."""

    @abc.abstractmethod
    def log(self, since: int = 0) -> Any:
        """AT transcript and counters since line `since`."""

    @abc.abstractmethod
    def mark(self) -> int:
        """Here in the transcript."""

    @abc.abstractmethod
    def transcript(self, since: int = 0) -> str:
        """The transcript as text, for a report."""


class Stimulus(abc.ABC):
    """What the node senses, as the stimulus board or the virtual one makes it."""

    @abc.abstractmethod
    def do(self, **asked: Any) -> dict[str, Any]:
        """One request, as its serial line takes it."""


class Current(abc.ABC):
    """What the node draws."""

    @abc.abstractmethod
    def mark(self) -> int:
        """Here, in microseconds of the node's time."""

    @abc.abstractmethod
    def samples(self, since_us: int) -> Iterator[tuple[int, int]]:
        """Microseconds and microampere, a step function."""
