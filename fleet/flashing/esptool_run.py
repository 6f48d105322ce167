"""One esptool process: started, read line by line, and ended when the user ends the run."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable

from fleet.flashing.errors import Interrupted
from fleet.flashing.esptool_lines import Report, failure
from fleet.flashing.ports import Port

ROM_BAUD = 115_200  # at which every ROM loader listens first
ATTEMPTS = 3  # resets that esptool tries before it gives up
GRACE = 3.0  # seconds between asking the process to end and killing it
# Flash options of a developer's shell must not change what is written.
_STRIPPED = ("ESPTOOL_FF", "ESPTOOL_FM", "ESPTOOL_FS", "ESPTOOL_STUB_VERSION")


class Stop:
    """Ends the esptool processes of a run, from any thread; later ones do not start."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal may come within
        self._running: set[subprocess.Popen[str]] = set()
        self.wanted = False

    def all(self) -> None:
        """Interrupt what runs."""
        with self._lock:
            self.wanted = True
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGINT)

    def started(self, process: subprocess.Popen[str]) -> None:
        """A process runs now; it is interrupted at once where the end is wanted."""
        with self._lock:
            self._running.add(process)
            wanted = self.wanted
        if wanted:
            process.send_signal(signal.SIGINT)

    def ended(self, process: subprocess.Popen[str]) -> None:
        """The process is gone."""
        with self._lock:
            self._running.discard(process)


def environment() -> dict[str, str]:
    """The environment of the processes: plain lines, no colours, nothing buffered."""
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "LINES": "50"}
    kept = {key: value for key, value in os.environ.items() if key not in _STRIPPED}
    return {**kept, **plain, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def run(
    port: Port,
    arguments: list[str],
    *,
    stop: Stop,
    report: Report,
    files: Iterable[int] = (),
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Run esptool on the port with these options and command; the errors of failure() else.

    `files`: descriptors that the process inherits, under the same numbers. Interrupted when
    `stop` was called meanwhile.
    """
    if stop.wanted:
        raise Interrupted(f"{port.name}: interrupted")
    process = subprocess.Popen(
        [sys.executable, "-m", "esptool", "--port", port.path, *arguments],
        cwd="/",  # a configuration file where the user happens to be does not count
        pass_fds=tuple(files),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        # The terminal's Ctrl-C is ours to pass on, after the board is marked.
        start_new_session=True,
    )
    stop.started(process)
    try:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        for line in process.stdout:
            report.feed(line)
            on_line(line.rstrip())
        code = process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    finally:
        stop.ended(process)
        if process.stdout is not None:
            process.stdout.close()
    if stop.wanted and code != 0:
        raise Interrupted(f"{port.name}: interrupted")
    if code != 0:
        raise failure(port.name, report)
