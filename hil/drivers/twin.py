"""The modem twin of a place: on the virtual board's UART, or beside a real node."""

import signal
import tempfile
from pathlib import Path
from typing import Any

import attr
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.step import step

from fleet.flashing.errors import BenchGone
from fleet.flashing.lines import request
from hil.drivers.bench import BenchDriver
from hil.faults import RigFault
from hil.processes import Program
from hil.protocols import ModemControl
from hil.resources.modem import ModemTwinLine


@target_factory.reg_driver
@attr.s(eq=False)
class BenchTwinDriver(Driver, ModemControl):
    """The virtual board's modem, by the bench's control socket."""

    bindings = {"bench": "BenchDriver"}  # noqa: RUF012  labgrid's way
    bench: BenchDriver

    @Driver.check_active
    @step(args=["asked"])
    def ask(self, **asked: Any) -> dict[str, Any]:
        """As ModemControl.ask."""
        found: dict[str, Any] = self.bench.ask("modem", **asked)
        return found

    def power_cycle(self) -> None:
        """Nothing: its supply is the board's."""

    def renew(self) -> None:
        """Nothing: it is made anew with the board."""


@target_factory.reg_driver
@attr.s(eq=False)
class TwinDriver(Driver, ModemControl):
    """A process `kapok modem-twin` on the adapter at the node's modem pins, while it is active."""

    bindings = {"line": "ModemTwinLine"}  # noqa: RUF012  labgrid's way
    line: ModemTwinLine

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._program: Program | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._control = ""

    def on_activate(self) -> None:
        """Start the process; RigFault where it does not."""
        line = self.line
        self._folder = tempfile.TemporaryDirectory(prefix="kapok-twin-")
        self._control = str(Path(self._folder.name) / "control")
        more = ["--scenario", line.scenario] if line.scenario else []
        more += [f"--resolve={name}={address}" for name, address in line.resolve.items()]
        try:
            self._program = Program(
                ["modem-twin", "--family", line.family, "--port", f"tty:{line.port}",
                 "--seed", str(line.seed), "--control", self._control, "--json", *more],
                Path(self._folder.name) / "log",
            )  # fmt: skip
        except RigFault as e:
            self.on_deactivate()
            raise RigFault(
                f"{self.target.name}: the modem twin on {line.port} did not start: {e}"
            ) from None

    def on_deactivate(self) -> None:
        """End it."""
        program, self._program = self._program, None
        if program is not None:
            program.end(signal.SIGTERM)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @Driver.check_active
    @step(args=["asked"])
    def ask(self, **asked: Any) -> dict[str, Any]:
        """As ModemControl.ask."""
        if self._program is None:
            raise RigFault(f"{self.target.name}: the modem twin is not started")
        if not self._program.runs:
            last = self._program.last_words()
            raise RigFault(f"{self.target.name}: the modem twin has died: {last}")
        try:
            return request(self._control, {"do": "modem", **asked})
        except BenchGone as e:
            raise RigFault(f"{self.target.name}: modem twin: {e}") from None

    @Driver.check_active
    @step()
    def power_cycle(self) -> None:
        """Its supply goes and comes back, as with the node's."""
        if self._program is not None:
            self._program.send(signal.SIGUSR1)

    @Driver.check_active
    @step()
    def renew(self) -> None:
        """Another process: its air, its SIM and its faults are as the rig's file has them."""
        self.on_deactivate()
        self.on_activate()
