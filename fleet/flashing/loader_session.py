"""A board in its loader, as esptool's processes find it: port, resets, and the stub that stays.

The stub stays in the chip's RAM between the processes, so that only the first one pays for reset
and upload. When the session ends the board starts its application.
"""

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from fleet.flashing import lines
from fleet.flashing.console import Console
from fleet.flashing.errors import (
    BoardChanged,
    FlashError,
    LinkLost,
    NoLoader,
    NoSuchPort,
    PortBusy,
    PortDenied,
)
from fleet.flashing.esptool_lines import Report
from fleet.flashing.esptool_run import ATTEMPTS, ROM_BAUD, Stop, run
from fleet.flashing.port_lock import locked
from fleet.flashing.ports import Port

# Two boards of one hub that reset at once draw it down ("wrong boot mode" of the second one).
_hubs: dict[str, threading.Lock] = {}
_hubs_lock = threading.Lock()


def hub_lock(hub: str) -> threading.Lock:
    """The lock under which boards of this hub reset."""
    with _hubs_lock:
        return _hubs.setdefault(hub, threading.Lock())


def _hold(port: Port) -> int:
    """Open the port beside esptool: its lines do not drop between two processes."""
    try:
        return os.open(port.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoSuchPort(f"{port.name}: {port.path} is not there: is it plugged in?") from None
    except PermissionError:
        raise PortDenied(
            f"{port.name}: this user may not open {port.path}: kapok doctor says why"
        ) from None
    except OSError as e:
        raise PortBusy(f"{port.name}: cannot open {port.path}: {e.strerror}") from None


class LoaderSession:
    """Use as a context manager. Raises the classes of errors.py, each with a line to show."""

    def __init__(self, port: Port, stop: Stop | None = None) -> None:
        self.port = port
        self.stop = stop or Stop()
        self.chip = ""  # as esptool names it, once it is known
        self._mac = b""  # of the board that answered first: no other one is touched
        self.last = Report()  # of the newest process, also of one that failed
        self._warm = False  # the stub runs, at ROM_BAUD
        self._held = -1
        self._touched = False

    def __enter__(self) -> Self:
        self._lock = locked(self.port)
        self._lock.__enter__()
        try:
            # A chip that is its own USB adapter gets another number where the old one is held.
            self._held = -1 if self.port.native_usb else _hold(self.port)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._touched:
                with suppress(FlashError, OSError):
                    self.start_application()
        finally:
            if self._held >= 0:
                os.close(self._held)
                self._held = -1
            self._lock.__exit__(kind, error, trace)

    def start_application(self) -> None:
        """Reset the board out of its loader."""
        with self.console() as console:
            self.reset(console)

    def reset(self, console: Console) -> None:
        """The same, on a console that is to hear what the board says."""
        self._warm = self._touched = False
        with hub_lock(self.port.hub):
            console.clear()
            lines.reset(self.port, console.line)

    def console(self) -> Console:
        """The port as a serial line, to be used as a context manager."""
        return Console(self.port)

    def esptool(
        self,
        command: list[str],
        *,
        fast: int = 0,
        files: Iterable[int] = (),
        on_progress: Callable[[str, float], None] | None = None,
    ) -> Report:
        """Run one command; the stub of the last one goes on where it can.

        `fast`: a rate to change to for much data; the next command then begins with a reset.
        """
        if self._warm:
            try:
                return self._run(command, fast, files, on_progress)
            except (NoLoader, LinkLost):
                # The chip was reset meanwhile, or the stub hung: begin as for the first time.
                if self.stop.wanted:
                    raise
                self._warm = False
        return self._run(command, fast, files, on_progress)

    def _run(
        self,
        command: list[str],
        fast: int,
        files: Iterable[int],
        on_progress: Callable[[str, float], None] | None,
    ) -> Report:
        before = "no-reset" if self._warm else "default-reset"
        options = ["--before", before, "--after", "no-reset-stub"]
        options += ["--connect-attempts", "1" if self._warm else str(ATTEMPTS)]
        if self.chip:
            options += ["--chip", self.chip]
        options += ["--baud", str(fast or ROM_BAUD)]
        report = self.last = Report(on_progress)
        lock = None if self._warm else hub_lock(self.port.hub)
        self._warm, self._touched = False, True
        if lock is not None:
            lock.acquire()

        def connected(_: str) -> None:
            nonlocal lock
            if report.mac and report.mac != (self._mac or report.mac):
                raise BoardChanged(
                    f"{self.port.name}: another board is there now: nothing was written to it"
                )
            if lock is not None and report.connected:
                lock.release()
                lock = None

        try:
            run(
                self.port,
                [*options, *command],
                stop=self.stop,
                report=report,
                files=files,
                on_line=connected,
            )
        finally:
            if lock is not None:
                lock.release()
        self._mac = self._mac or report.mac
        self._warm = fast in (0, ROM_BAUD)
        return report
