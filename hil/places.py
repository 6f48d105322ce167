"""The place that a worker holds: one file lock each on this machine, and what stands there."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Hashable
from pathlib import Path
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

_NO_TARGET = (BindingError, InvalidConfigError, NoSupplierFoundError, KeyError)
_REMOTE = "labgrid.remote.client"  # whose errors need not be imported where nobody is remote
WAIT_S = 3600.0  # for a place that somebody else's run holds
LOOK_S = 0.2


class Holder(Protocol):
    """Who sees to it that a place is nobody else's."""

    def hold(self, name: str) -> Any:
        """Take it, or one that can do the same, or wait for it: its `name` says which. RigFault
        where none becomes free.
        """

    def let_go(self, held: Any) -> None:
        """Others may have it."""


class Lock(NamedTuple):
    """A place, and the descriptor of its lock."""

    name: str
    file: int


class FileLocks:
    """Of a rig whose places are at this machine. A lock ends with its process, however it ends."""

    def __init__(self, rig_name: str, folder: Path | None = None) -> None:
        base = folder or Path(tempfile.gettempdir())
        self._folder = base / f"kapok-rig-{os.getuid()}-{rig_name}"
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def hold(self, name: str, wait_s: float = WAIT_S) -> Lock:
        """The place of that name; RigFault names who holds it."""
        path = self._folder / f"{name}.lock"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    holder = os.pread(file, 20, 0).decode(errors="replace").strip()
                    os.close(file)
                    raise RigFault(
                        f"{name}: process {holder} holds this place, {wait_s:.0f} s were waited"
                    ) from None
                time.sleep(LOOK_S)
        os.ftruncate(file, 0)
        os.pwrite(file, b"%d\n" % os.getpid(), 0)
        return Lock(name, file)

    def let_go(self, held: Lock) -> None:
        """Close it."""
        os.close(held.file)


class Unshared:
    """Of a rig of virtual boards alone: each worker's are its own; no run waits for another."""

    def hold(self, name: str) -> Lock:
        """At once."""
        return Lock(name, -1)

    def let_go(self, held: Lock) -> None:
        """Nothing."""


class Mark(NamedTuple):
    """Where the logs of a place were."""

    console: int
    fleet: int
    at: int
    us: int


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
        )

    def logs(self, mark: Hashable) -> Logs:
        """What was logged since."""
        assert isinstance(mark, Mark)  # noqa: S101  it is from here
        modem, current = self.driver(ModemControl), self.driver(Current)
        told = [] if self.fleet is None else self.fleet.log(mark.fleet)
        logs = Logs(console=self.strategy.console.log(mark.console))
        logs.mqtt = "\n".join(str(one) for one in told)
        with contextlib.suppress(RigFault):  # what stands there may be off, or gone
            if modem is not None:
                logs.at = modem.transcript(mark.at)
            if current is not None:
                logs.current = list(current.samples(mark.us))
        return logs

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
