"""Programs that a worker runs beside itself, and that end with it."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hil.faults import RigFault
from hil.fleet_process import READY_S, die_with_parent


class Program:
    """`kapok WORDS`, that says in one line on standard output when it is ready."""

    def __init__(
        self, words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """RigFault where the line does not come; `log` gets its standard error."""
        self.name = f"kapok {words[0]}"
        self.log = log
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fleet", *words],
                env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  it only asks the kernel
            )  # fmt: skip
        self.line = self._first_line()
        if not self.line:
            self.end(signal.SIGKILL)
            raise RigFault(
                f"{self.name} did not start within {READY_S:.0f} s: {self.last_words()}"
            )

    def _first_line(self) -> str:
        out = self._process.stdout
        assert out is not None  # noqa: S101  a pipe was asked for
        return out.readline() if select.select([out], [], [], READY_S)[0] else ""

    @property
    def runs(self) -> bool:
        """Whether it does still."""
        return self._process.poll() is None

    def send(self, number: int) -> None:
        """A signal, if it runs."""
        self._process.send_signal(number)

    def end(self, number: int) -> None:
        """Send it a signal, and see it end."""
        self._process.send_signal(number)
        try:
            self._process.communicate(timeout=READY_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def last_words(self) -> str:
        """The last line of its log."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").split("\n")
            return next((line for line in reversed(lines) if line.strip()), "no message")
        return "no message"
