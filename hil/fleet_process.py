"""`kapok serve` as a process of its own on a data folder: started, stopped, killed."""

import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from fleet.errors import Refusal

READY_S = 60.0  # interpreter start, imports and migrations on a busy machine
END_S = 60.0  # it stops its parts one after the other


_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)  # loaded before any fork: a child with threads behind it must not


def die_with_parent() -> None:
    """Run in a child before its program: the kernel kills it when this process ends, however."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class FleetError(Refusal, RuntimeError):
    """The fleet did not do what was asked; the text is its last line."""


class FleetProcess:
    """One fleet on `data`; `settings` are options of `kapok serve`. Its log lies beside `data`."""

    def __init__(self, data: Path, *settings: str) -> None:
        self.data = data
        self.settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self.log = data.with_name(data.name + ".log")

    async def command(self, *arguments: str) -> str:
        """Run `kapok ARGUMENTS` on this data folder and give its output."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fleet", *arguments,
            env={**os.environ, "KAPOK_DATA": str(self.data)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            lines = err.decode().strip().splitlines() or ["no message"]
            raise FleetError(f"kapok {arguments[0]}: {lines[-1]}")
        return out.decode()

    def _free_ports(self) -> list[str]:
        """Any free port for what `settings` do not name: several fleets run on one machine."""
        return [
            word
            for option in ("--enrol-port", "--updates-port")
            if option not in self.settings
            for word in (option, "0")
        ]

    async def start(self) -> dict[str, Any]:
        """Serve; returns when it is ready, with what run.json says."""
        run = self.data / "run.json"
        run.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "fleet", "serve", *self.settings, *self._free_ports(),
                env={**os.environ, "KAPOK_DATA": str(self.data)},
                stdout=asyncio.subprocess.PIPE, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip
        try:
            line = await asyncio.wait_for(_first_line(self._process), READY_S)
        except TimeoutError:
            await self.kill()
            raise FleetError(
                f"kapok serve was not ready in {READY_S:.0f} s; see {self.log}"
            ) from None
        if not line:
            await self._process.wait()
            last = self.log.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise FleetError(f"kapok serve: {last[-1]}")
        result: dict[str, Any] = json.loads(run.read_text())
        return result

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> int:
        """kill -9: no goodbye, no flush."""
        return await self._end(signal.SIGKILL)

    async def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise self._does_not_end() from None

    def _does_not_end(self) -> FleetError:
        return FleetError(f"kapok serve had not ended after {END_S:.0f} s; see {self.log}")


async def _first_line(process: asyncio.subprocess.Process) -> bytes:
    return await process.stdout.readline() if process.stdout else b""
