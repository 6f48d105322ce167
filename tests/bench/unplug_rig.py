"""A fleet, a bench of blank boards and a technician's two commands, in folders of their own."""

import asyncio
import json
import os
import re
import select
import shutil
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from fleet.releases.target import Target
from hil.fleet_process import READY_S, FleetProcess, die_with_parent
from hil.virtual.bench.control import ask
from hil.virtual.bench.folder import BenchError
from tests.bench.warm import warm

KAPOK = [sys.executable, "-m", "fleet"]
AREA, NODE, BOARD = "440106", "gas-meter", "esp32s3-bc660k"
HOMES = ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
         "XDG_DATA_HOME", "XDG_RUNTIME_DIR")  # fmt: skip
COMMANDS = {
    "flash": ("flash", "--ports", "all", "--node", NODE),
    "provision": ("provision", "--ports", "all", "--node", NODE),
}
_ENDED = re.compile(r"(flashed|unchanged|skipped), node|(provisioned|confirmed) in \d")
_LINE = re.compile(r"(?:kapok: )?virtual:(\d+): (.*)")  # a step, how it ended, or why it failed
_SELFTEST = re.compile(rb"kapok-selftest (\{.*\})\s")

OnStep = Callable[[str, str], None]  # board, what it begins


class Ran(NamedTuple):
    """How a command ended: exit code, its boards that ended well, what each said last."""

    code: int
    good: set[str]
    last: dict[str, str]
    seconds: float


class Bench:
    """Boards in `folder`, over the control socket and their ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = json.loads((folder / "bench.json").read_text())["boards"]
        self.nodes = {board["name"]: str(board["node_id"]) for board in facts}
        self.macs = {board["name"]: str(board["mac"]) for board in facts}

    def do(self, board: str, do: str, **more: Any) -> dict[str, Any]:
        """Ask it."""
        return ask(self.folder, {"board": board, "do": do, **more})

    def off(self, board: str) -> None:
        """Pull its plug, if it is in."""
        with suppress(BenchError):
            self.do(board, "power-off")

    def left(self, board: str) -> int | None:
        """Bytes until it is unplugged."""
        found = self.do(board, "state")["faults"]["unplug_after"]
        return None if found is None else int(found)

    def flash(self, board: str) -> Path:
        """The file that is its chip."""
        return self.folder / board / "flash.bin"

    def selftest(self, board: str, patience: float = 60.0) -> dict[str, Any]:
        """What it says of itself after a reset, on its port; {} where it says nothing."""
        port = self.do(board, "power-on")["port"]
        line = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            tty.setraw(line)
            self.do(board, "reset")
            heard, end = b"", time.monotonic() + patience
            while time.monotonic() < end:
                if select.select([line], [], [], 0.2)[0]:
                    heard += os.read(line, 4096)
                if match := _SELFTEST.search(heard):
                    return dict(json.loads(match[1]))
        finally:
            os.close(line)
        return {}


class Rig:
    """All of it below `folder`; sets the environment of this process and its children."""

    def __init__(self, folder: Path, kapok: list[str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.logs = folder / "logs"
        self.logs.mkdir()
        warm(folder / "home" / "xdg_cache_home", Target(NODE, BOARD))
        for name in HOMES:
            (folder / "home" / name.lower()).mkdir(parents=True, mode=0o700, exist_ok=True)
            os.environ[name] = str(folder / "home" / name.lower())
        # Not the checkout: what commands leave where they run is searched too.
        self.place = folder / "home" / "place"
        self.place.mkdir()
        os.environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        os.environ |= {"KAPOK_DATA": str(self.data), "KAPOK_BENCH": str(folder / "bench")}
        self._kapok = kapok or KAPOK
        self._fleet = FleetProcess(
            self.data, "--port", "0", "--broker-port", "0", "--coap-port", "0"
        )
        self._loop = asyncio.new_event_loop()
        self._number = 0

    @property
    def searched(self) -> list[Path]:
        """Where no key may lie: all that the commands could write to."""
        return [self.data, self.logs, self.folder / "home"]

    def start(self, boards: int) -> None:
        """A fleet that serves, and a token for so many boards."""
        run = self._loop.run_until_complete
        run(self._fleet.command("init"))
        self._fleet.log = self.logs / "serve.log"
        run(self._fleet.command("area", "add", AREA, "Tianhe"))
        made = run(self._fleet.command(
            "token", "add", "--person", "Li Wei", "--area", AREA, "--node", NODE,
            "--count", str(boards), "--json",
        ))  # fmt: skip
        os.environ["KAPOK_TOKEN"] = json.loads(made)["token"]
        run(self._fleet.start())

    def stop(self) -> None:
        """End the fleet."""
        self._loop.run_until_complete(self._fleet.stop())
        self._loop.close()

    @contextmanager
    def bench(self, boards: int) -> Iterator[Bench]:
        """New boards, which are thrown away at the end."""
        folder = self.folder / "bench"
        with (self.logs / "bench.log").open("ab") as log:
            process = subprocess.Popen(
                [*KAPOK, "bench", "--boards", str(boards), "--board", BOARD, "--pace", "none"],
                stdout=log, stderr=log, preexec_fn=die_with_parent,  # noqa: PLW1509 - none runs
            )  # fmt: skip
        try:
            end = time.monotonic() + READY_S
            while not (folder / "bench.json").exists():
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"no bench: see {self.logs / 'bench.log'}")
                time.sleep(0.05)
            yield Bench(folder)
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)

    def bench_said(self) -> str:
        """The last lines of its log."""
        lines = (self.logs / "bench.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-40:])

    def run(self, name: str, on_step: OnStep | None = None, kill_after: float = 0.0) -> Ran:
        """Flash or provision every board that is plugged in; `kill_after` seconds: kill -9."""
        self._number += 1
        log = self.logs / f"{self._number:04d}-{name}.log"
        good: set[str] = set()
        last: dict[str, str] = {}
        began = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*self._kapok, *COMMANDS[name]], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.PIPE, text=True, errors="replace", cwd=self.place,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread runs between commands
            )  # fmt: skip
            assert process.stderr is not None
            killer = threading.Timer(kill_after, process.kill)
            if kill_after:
                killer.start()
            try:
                for line in process.stderr:
                    out.write(line.encode())
                    match = _LINE.match(line)
                    if match is None:
                        continue
                    last[match[1]] = match[2]
                    if _ENDED.search(match[2]):
                        good.add(match[1])
                    elif on_step is not None:
                        on_step(match[1], match[2].rstrip())
                code = process.wait()
            finally:
                killer.cancel()
                process.kill()
                process.wait()
                process.stderr.close()
        return Ran(code, good, last, time.monotonic() - began)
