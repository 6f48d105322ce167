"""The modem twin of a place: on the virtual board's UART, or beside a real node."""

import contextlib
import json
import signal
import subprocess
import sys
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
from hil.fleet_process import die_with_parent
from hil.protocols import ModemControl
from hil.resources.modem import ModemTwinLine

END_S = 10.0


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


@target_factory.reg_driver
@attr.s(eq=False)
class TwinDriver(Driver, ModemControl):
    """A process `kapok modem-twin` on the adapter at the node's modem pins, while it is active."""

    bindings = {"line": "ModemTwinLine"}  # noqa: RUF012  labgrid's way
    line: ModemTwinLine

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._control = ""

    def on_activate(self) -> None:
        """Start the process; RigFault where it does not."""
        line = self.line
        self._folder = tempfile.TemporaryDirectory(prefix="kapok-twin-")
        self._control = str(Path(self._folder.name) / "control")
        more = ["--scenario", line.scenario] if line.scenario else []
        more += [f"--resolve={name}={address}" for name, address in line.resolve.items()]
        with self._log().open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fleet", "modem-twin", "--family", line.family,
                 "--port", f"tty:{line.port}", "--seed", str(line.seed),
                 "--control", self._control, "--json", *more],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  it only asks the kernel
            )  # fmt: skip
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        told = self._process.stdout.readline()
        with contextlib.suppress(ValueError):
            if json.loads(told)["family"] == line.family:
                return
        why = self._last_words()
        self.on_deactivate()
        raise RigFault(f"{self.target.name}: the modem twin on {line.port} did not start: {why}")

    def on_deactivate(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.communicate(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @Driver.check_active
    @step(args=["asked"])
    def ask(self, **asked: Any) -> dict[str, Any]:
        """As ModemControl.ask."""
        if self._process is None or self._process.poll() is not None:
            raise RigFault(f"{self.target.name}: the modem twin has died: {self._last_words()}")
        try:
            return request(self._control, {"do": "modem", **asked})
        except BenchGone as e:
            raise RigFault(f"{self.target.name}: modem twin: {e}") from None

    @Driver.check_active
    @step()
    def power_cycle(self) -> None:
        """Its supply goes and comes back, as with the node's."""
        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)

    def _log(self) -> Path:
        assert self._folder is not None  # noqa: S101  made before
        return Path(self._folder.name) / "log"

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log().read_text(errors="replace").split("\n")
            return next((line for line in reversed(lines) if line.strip()), "no message")
        return "no message"
