"""The place that a worker holds, and what stands there."""

import contextlib
import json
from collections.abc import Hashable
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from labgrid import Target
from labgrid.binding import BindingError
from labgrid.exceptions import (
    InvalidConfigError,
    NoDriverFoundError,
    NoSupplierFoundError,
)

from hil.faults import RigFault
from hil.inventory import Rig
from hil.protocols import Current, ModemControl, Stimulus
from hil.pytest_plugin.held import Logs
from hil.servers import packets

_NO_TARGET = (BindingError, InvalidConfigError, NoSupplierFoundError, KeyError)
_REMOTE = "labgrid.remote.client"  # whose errors need not be imported where nobody is remote


class Holder(Protocol):
    """Who sees to it that a place is nobody else's."""

    def hold(self, name: str) -> Any:
        """Take it, or one that can do the same, or wait for it: its `name` says which. RigFault
        where none becomes free.
        """

    def let_go(self, held: Any) -> None:
        """Others may have it."""


class Mark(NamedTuple):
    """Where the logs of a place were."""

    console: int
    fleet: int
    at: int
    us: int
    packets: int
    begin_us: int  # of the node's time


class Place:
    """A target of labgrid's that this worker holds; as hil.pytest_plugin.held.Held."""

    def __init__(self, name: str, board: str, target: Target) -> None:
        self.name = name
        self.board = board
        self.target = target
        self.strategy: Any = target.get_strategy()
        self.fleet: Any = None

    @property
    def broken(self) -> BaseException | None:
        """Why its strategy can go nowhere any more."""
        found: BaseException | None = self.strategy.broken
        return found

    def begin(self) -> None:
        """Before a test: as new but for its flash, and all that it has in use."""
        self.strategy.begin()
        # Its trace begins anew behind: a stimulus board that is wired anew has a new meter.
        if (current := self.driver(Current)) is not None:
            self.target.deactivate(current)
        for old in (self.driver(ModemControl), self.driver(Stimulus)):
            if old is not None:
                old.renew()
        for protocol in (ModemControl, Stimulus, Current):
            with contextlib.suppress(NoDriverFoundError):
                self.target.get_driver(protocol)

    def mark(self) -> Hashable:
        """Where its logs are now."""
        modem, current = self.driver(ModemControl), self.driver(Current)
        return Mark(
            self.strategy.console.mark(),
            0 if self.fleet is None else self.fleet.log_mark(),
            0 if modem is None else modem.mark(),
            0 if current is None else current.mark(),
            packets.mark(),
            self.strategy.clock.now_us(),
        )

    def logs(self, mark: Hashable) -> Logs:
        """What was logged since."""
        assert isinstance(mark, Mark)  # noqa: S101  it is from here
        modem, current, begin_us = self.driver(ModemControl), self.driver(Current), mark.begin_us
        logs = Logs(console=self.strategy.console.log(mark.console, begin_us))
        logs.mqtt = self._timed(mark, packets.since(mark.packets, "mqtt"))
        logs.coap = self._timed(mark, packets.since(mark.packets, "coap"))
        logs.fleet = self._timed(mark, self._of_fleet(mark))
        with contextlib.suppress(RigFault):  # what stands there may be off, or gone
            if modem is not None:
                logs.at = modem.transcript(mark.at, begin_us)
            if current is not None:
                logs.current = [(at - begin_us, ua) for at, ua in current.samples(mark.us)]
        return logs

    def _of_fleet(self, mark: Mark) -> list[tuple[int, str]]:
        lines = []
        for told in [] if self.fleet is None else self.fleet.log(mark.fleet):
            real = datetime.fromisoformat(told.pop("timestamp", "1970-01-01T00:00:00Z"))
            lines.append((int(real.timestamp() * 1e6), json.dumps(told)))
        return lines

    def _timed(self, mark: Mark, lines: list[tuple[int, str]]) -> str:
        """What has this machine's time, in the node's."""
        at_us = self.strategy.clock.at_us
        return "\n".join(
            f"{(at_us(real_us) - mark.begin_us) / 1e6:9.3f} {line}" for real_us, line in lines
        )

    def driver(self, protocol: Any) -> Any:
        """The active driver of the protocol; None where the place has none, or it is in no use."""
        return next((d for d in self.target.drivers if self._does(d, protocol)), None)

    @staticmethod
    def _does(driver: Any, protocol: Any) -> bool:
        return isinstance(driver, protocol) and driver.state.name == "active"

    def recover(self) -> None:
        """After a rig fault: begin anew, from nothing."""
        self.strategy.blank()
        self.deactivate()
        self.strategy.broken = None
        self.strategy.force("unknown")

    def deactivate(self) -> None:
        """Let go of ports and processes."""
        with contextlib.suppress(RigFault, OSError):
            self.strategy.console.close()
        for driver in self.target.drivers:
            if driver is not self.strategy:
                with contextlib.suppress(RigFault, OSError):
                    self.target.deactivate(driver)


class Places:
    """Of one worker, which holds one place at a time: its tests are in the order of places."""

    def __init__(self, rig: Rig, holder: Holder) -> None:
        self._rig = rig
        self._holder = holder
        self._asked = ""
        self._held: tuple[Place, Any] | None = None

    def take(self, name: str) -> Place:
        """The place of that name, or what the holder gives for it; the one that was held before
        is let go of.
        """
        if self._held is not None and self._asked == name:
            return self._held[0]
        self.let_go()
        held, self._asked = self._holder.hold(name), name
        try:
            target = self._rig.environment.get_target(held.name)
            place = Place(held.name, self._rig.place(held.name).board, target)
        except BaseException as e:
            self._holder.let_go(held)
            if isinstance(e, _NO_TARGET) or type(e).__module__ == _REMOTE:
                raise RigFault(f"{self._rig.path}: {name}: {e}") from e
            raise
        self._held = place, held
        return place

    def let_go(self) -> None:
        """Hold none."""
        if self._held is not None:
            place, held = self._held
            self._held = None
            place.deactivate()
            place.strategy.blank()  # who has it next may do what he likes
            place.strategy.force("unknown")
            self._holder.let_go(held)
