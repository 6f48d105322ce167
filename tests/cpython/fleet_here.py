"""A fleet as hil.fleet_process has it, for tests that are not about how programs start: `kapok
init` is a copy of a data folder that was made once, other commands run in this process, and `kapok
serve` is forked from a process that has its imports behind it.
"""

import asyncio
import faulthandler
import json
import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from cli_rig import initialised
from click.testing import CliRunner

from fleet.cli.main import kapok
from hil.fleet_process import END_S, READY_S, FleetError, FleetProcess, die_with_parent

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["fleet_here_imports"])


def _forkserver() -> None:
    """Running, with the imports behind it: it looks for them where this process does."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _run(data: Path, *arguments: str) -> str:
    result = CliRunner().invoke(kapok, ["--data", str(data), *arguments], prog_name="kapok")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise FleetError(f"kapok {arguments[0]}: {lines[-1]}")
    return result.stdout


def _serve(data: Path, words: list[str], log: Path, out: Connection) -> None:
    """In a process of its own."""
    die_with_parent()
    os.setsid()
    os.dup2(out.fileno(), 1)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    out.close()
    faulthandler.enable(sys.stderr)
    os.environ["KAPOK_DATA"] = str(data)
    kapok(["serve", *words], prog_name="kapok")


class FleetHere(FleetProcess):
    """One fleet on `data`, with `kapok serve`'s options `settings`, as FleetProcess's."""

    def __init__(self, data: Path, *settings: str) -> None:
        super().__init__(data, *settings)
        self._served: ForkServerProcess | None = None
        self._one = asyncio.Lock()  # a command has the process's standard output to itself

    async def command(self, *arguments: str) -> str:
        """What `kapok ARGUMENTS` prints."""
        async with self._one:
            if arguments == ("init",) and not self.data.exists():
                initialised(self.data)
                return ""
            return await asyncio.to_thread(_run, self.data, *arguments)

    async def start(self) -> dict[str, Any]:
        """Serve; returns when it is ready, with what run.json says."""
        run = self.data / "run.json"
        run.unlink(missing_ok=True)
        ours, theirs = _forks.Pipe(duplex=False)
        words = [*self.settings, *self._free_ports()]
        self._served = _forks.Process(
            target=_serve, args=(self.data, words, self.log, theirs), daemon=True
        )
        _forkserver()
        self._served.start()
        theirs.close()
        try:
            line = await asyncio.wait_for(asyncio.to_thread(_first_line, ours), READY_S)
        except TimeoutError:
            await self.kill()
            raise FleetError(
                f"kapok serve was not ready in {READY_S:.0f} s; see {self.log}"
            ) from None
        finally:
            ours.close()
        if not line:
            await self._end(signal.SIGTERM)
            last = self.log.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise FleetError(f"kapok serve: {last[-1]}")
        result: dict[str, Any] = json.loads(run.read_text())
        return result

    async def _end(self, number: int) -> int:
        process, self._served = self._served, None
        if process is None or process.pid is None:
            return 0
        if process.exitcode is None:
            os.kill(process.pid, number)
        await asyncio.to_thread(process.join, END_S)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGABRT)  # the log has then what its threads did
            await asyncio.to_thread(process.join, END_S)
            raise FleetError(f"{self._does_not_end()}: {self.log.read_text(errors='replace')}")
        code = process.exitcode or 0
        process.close()
        return code


def _first_line(pipe: Connection) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(pipe.fileno(), 1)):
        line += byte
    return line
