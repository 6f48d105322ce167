"""A real `kapok serve` of a rig: started, stopped, killed, and asked by its commands."""

import contextlib
import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

from hil.processes import Program

AREA = ("440106", "Tianhe")
_PORTS = {
    "--port": "api_port", "--broker-port": "broker_port", "--coap-port": "coap_port",
    "--updates-port": "updates_port", "--enrol-port": "enrol_port",
}  # fmt: skip


class Refused(AssertionError):
    """A kapok command was refused; the text is its line."""


class Serve:
    """One fleet on `folder`/data. Its ports are any free ones at first, and the same from then."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._log = folder / "fleet.log"
        self._program: Program | None = None
        self._run: dict[str, Any] = {}

    def running(self) -> None:
        """Start it where it does not run."""
        if self._program is None or not self._program.runs:
            self.start()

    def start(self) -> None:
        """RigFault where it is not ready in time."""
        if not self.data.exists():
            self.prepare()
        ports = [
            word
            for option, name in _PORTS.items()
            for word in (option, str(self._run.get(name, 0)))
        ]
        environment = {"KAPOK_DATA": str(self.data)}
        self._program = Program(["serve", "--json", *ports], self._log, environment)
        self._run = json.loads(self._program.line)
        self._run["enrol_port"] = self._run["enrol_url"].rpartition(":")[2]

    def prepare(self) -> None:
        """Its data folder, with an area; two persons may share this machine's account."""
        self.text("init")
        self.text("area", "add", *AREA)
        settings = self.data / "kapok.toml"
        settings.write_text(settings.read_text().replace("# one_account", "one_account"))

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: no goodbye, no flush."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        program, self._program = self._program, None
        if program is not None:
            program.end(number)

    @property
    def run(self) -> dict[str, Any]:
        """Where it listens: api_port, broker_port, coap_port, enrol_url, updates_port ..."""
        return self._run

    def port_of(self, door: str) -> int:
        """Of "coap" or "mqtt"."""
        return int(self._run["coap_port" if door == "coap" else "broker_port"])

    @property
    def enrol_url(self) -> str:
        """Where boards are provisioned."""
        return str(self._run["enrol_url"])

    def text(self, *arguments: object) -> str:
        """What `kapok ARGUMENTS` prints, on this fleet's data; Refused with its line where not."""
        from click.testing import CliRunner

        from fleet.cli.main import kapok

        words = ["--data", str(self.data), *(str(one) for one in arguments)]
        result = CliRunner().invoke(kapok, words, prog_name="kapok")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        if result.exit_code:
            raise Refused(result.stderr.strip() or result.stdout.strip())
        return str(result.stdout)

    def command(self, *arguments: object) -> Any:
        """The same with --json, parsed."""
        return json.loads(self.text(*arguments, "--json"))

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Of its database, which cannot be written so."""
        uri = f"file:{self.data / 'kapok.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """What it logged, from the byte `since` on (its size: `log_mark`)."""
        if not self._log.exists():  # no test has needed it so far
            return []
        with self._log.open("rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").splitlines()
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def log_mark(self) -> int:
        """Here in the log."""
        return self._log.stat().st_size if self._log.exists() else 0
