"""What a place can do, whatever stands there: the strategy and the tests know no more.

Its supply is labgrid's PowerProtocol, so that labgrid's own drivers of hubs and sockets do.
"""

import abc
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from re import Match
from typing import Any, NamedTuple

from fleet.flashing.console import Console
from fleet.flashing.flash_board import Progress
from fleet.flashing.flash_board import Result as Flashed
from fleet.flashing.ports import Port
from fleet.flashing.provision_many import Result as Provisioned


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
        """Microseconds since 1970 UTC. From any thread."""

    def at_us(self, real_us: int) -> int:
        """What `now_us` was at a moment of this machine's time, as far as anybody knows."""
        return real_us

    @abc.abstractmethod
    def wait(self, seconds: float) -> None:
        """Let so much of the node's time pass."""

    @abc.abstractmethod
    def running(self) -> AbstractContextManager[None]:
        """Time goes on by itself meanwhile, for a program that talks to the board: where the rig
        can stop it, it passes only in `wait` and `until`, whatever a test does in between.
        """

    @abc.abstractmethod
    def hurry(self, times: float) -> None:
        """For this test: so much faster than real time while a socket is open, where the rig can;
        for downloads of minutes. A fleet that is slow then looks so many times slower.
        """

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
        """All lines, each with when it was read: seconds of the node's time since 1970."""

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

    @abc.abstractmethod
    def restart(self) -> None:
        """A soft reset: the firmware starts anew, the chip does not."""


class Flash(abc.ABC):
    """What lies in the board's flash: firmware, and an identity."""

    @abc.abstractmethod
    def flash(
        self, node_type: str, bundle: Path | None = None, runtime: Path | None = None
    ) -> None:
        """Supervisor and rescue of this tree, its application or that of a release, and the
        runtime that there is or this image; what is there is kept.
        """

    @abc.abstractmethod
    def provision(self, node_type: str, url: str, token: str, config: Mapping[str, Any]) -> str:
        """An identity of the fleet at `url`, and the configuration; the node id."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Erase NVS: it is nobody's, and never was."""

    @abc.abstractmethod
    def configuration(self) -> dict[str, Any]:
        """What a provisioned node has, whole."""

    @abc.abstractmethod
    def configure(self, values: Mapping[str, Any]) -> None:
        """Another one, whole; what the node had begun by the one before is forgotten."""

    @abc.abstractmethod
    def read(self, label: str) -> bytes:
        """A partition."""

    @abc.abstractmethod
    def write(self, label: str, data: bytes) -> None:
        """Write a partition from its start."""


class Attempts(Flash):
    """What may be refused or cut short, and is looked at: by the suite, not by the strategy."""

    @abc.abstractmethod
    def try_flash(
        self,
        node_type: str,
        *,
        bundle: Path | None = None,
        runtime: Path | None = None,
        everything: bool = False,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Flashed:
        """As `flash`, and what came of it: nothing is raised for what befalls the board.
        `everything`: also what is there already.
        """

    @abc.abstractmethod
    def try_provision(
        self, node_type: str, url: str, token: str, config: Mapping[str, Any], policy: str = ""
    ) -> Provisioned:
        """As `provision`, and what came of it. `policy` as `kapok provision --again`; without one
        nobody can be asked.
        """


class AtLine(NamedTuple):
    """One line on the modem's UART: `who` is `host` or `modem`, `at_us` the modem's time."""

    number: int
    at_us: int
    who: str
    text: str


class ModemControl(abc.ABC):
    """The air and the SIM of a place whose modem is the twin, while it runs (docs/bench.md)."""

    @abc.abstractmethod
    def ask(self, **asked: Any) -> dict[str, Any]:
        """One `modem` request: `set`, `event` or `log`; RigFault where it is refused."""

    def set(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
        """set(rsrp=-120), set(sim="absent"), set({"radio.loss": 0.2}); its state then."""
        return self.ask(set={**(values or {}), **more})

    def event(self, name: str, **more: Any) -> dict[str, Any]:
        """Something befalls it: event("detach", for_s=60); its state then."""
        return self.ask(event=name, **more)

    @abc.abstractmethod
    def power_cycle(self) -> None:
        """The node's supply was off and is back: so is the modem's."""

    @abc.abstractmethod
    def renew(self) -> None:
        """Before a test: air, SIM and modem are as at first."""

    def status(self) -> dict[str, Any]:
        """`state`, `stat`, `cause`, `signal`, `sim`, `psm`, `psm_granted`, `counters` ..."""
        return self.ask()

    def mark(self) -> int:
        """The number that the next line will have: for `log`."""
        return int(self.status()["counters"]["lines"])

    def log(self, since: int = 0) -> list[AtLine]:
        """What went over its UART from line `since` on."""
        lines: list[AtLine] = []
        while True:
            told = self.ask(log=since)
            lines += [AtLine(*line) for line in told["lines"]]
            since = told["next"]
            if not told["more"]:
                return lines

    def said(self, pattern: str, since: int = 0, who: str = "") -> list[AtLine]:
        """Those lines of `log` in which the pattern is found, of one side or of both."""
        return [
            line
            for line in self.log(since)
            if (not who or line.who == who) and re.search(pattern, line.text)
        ]

    def transcript(self, since: int = 0, begin_us: int = 0) -> str:
        """The log as text, for a report; times in seconds since `begin_us`."""
        return "\n".join(
            f"{(line.at_us - begin_us) / 1e6:9.3f} {'<>'[line.who == 'host']} {line.text}"
            for line in self.log(since)
        )


class Stimulus(abc.ABC):
    """What the node senses, as the stimulus board or the virtual one makes it (docs/bench.md).
    Channels are the names of the node's pins.
    """

    @abc.abstractmethod
    def do(self, **asked: Any) -> dict[str, Any]:
        """One request, as its serial line takes it; RigFault where it is refused."""

    @abc.abstractmethod
    def renew(self) -> None:
        """Before a test: all that the node senses is as at first."""

    def pulse(
        self, channel: str, count: int = 1, *, width_ms: int = 60, gap_ms: int = 500
    ) -> float:
        """Begin a train of pulses, of a wheel both contacts; the seconds that it takes. A new
        train ends the one before, `count=0` only that.
        """
        told = self.do(pulse=channel, count=count, width_ms=width_ms, gap_ms=gap_ms)
        return float(told["ends_ms"]) / 1000

    def level(self, channel: str, value: int) -> None:
        """A digital input is 0 or 1 from now on."""
        self.do(level=channel, value=value)

    def relay(self, channel: str, value: int) -> None:
        """A dry contact; `supply-fail` is the supply's."""
        self.do(relay=channel, value=value)

    def voltage(self, channel: str, mv: int) -> None:
        """At the pin of an analogue input."""
        self.do(voltage=channel, mv=mv)

    def current(self, channel: str, ua: int) -> None:
        """4-20 mA through the board's shunt."""
        self.do(current=channel, ua=ua)

    def read(self, channel: str) -> int:
        """The level of one of the node's outputs."""
        return int(self.do(read=channel)["value"])

    def sub_device(
        self, profile: str, address: str | int, values: Mapping[str, Any], **how: Any
    ) -> None:
        """Hang a meter or sensor of hw/profiles on the RS-485 line; `values` by quantity."""
        self.do(bus="add", profile=profile, address=address, values=dict(values), **how)

    def sub_values(self, address: str | int, values: Mapping[str, Any], **how: Any) -> None:
        """What it measures from now on; `how` are its faults: dead, lose_every ..."""
        self.do(bus="set", address=address, values=dict(values), **how)

    def sub_remove(self, address: str | int) -> None:
        """It is gone from the line."""
        self.do(bus="remove", address=address)


class Current(abc.ABC):
    """What the node draws from its supply, board and modem together."""

    begun_us: int = 0  # of the meter's time: before, nobody looked

    @abc.abstractmethod
    def mark(self) -> int:
        """Here, in microseconds of the meter's time."""

    @abc.abstractmethod
    def samples(self, since_us: int) -> Iterator[tuple[int, int]]:
        """Microseconds and microampere from then on, up to now."""
