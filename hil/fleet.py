"""The fixture `fleet`: a real `kapok serve` of this worker, and what a test asks of it.

For authors of tests:

    fleet.command("node", "list")     any kapok command, its --json parsed; fleet.text: as it is
    fleet.readings(node, "gas_volume", since=mark)    rows of the database, mark = fleet.mark()
    fleet.wait_reading(node, "gas_volume", seconds)   node time passes meanwhile; NotReported
    fleet.alarms(node), fleet.wait_alarm("leak", node, seconds)
    fleet.configure(node, {"report_s": 3600}, seconds=None)    by the next receipt; with seconds:
                                             waits until the node says what it applied or refused
    fleet.send(node, "valve-close", by="Li Wei"); fleet.wait_command(id, node, seconds)
    fleet.status(node)                       as `kapok node show --json`
    fleet.reported_us(node), fleet.wait_report(node, seconds)
    fleet.stop(), .kill(), .start()          with the same ports
    fleet.log(since=mark)                    what it logged, JSON objects

`node` is the fixture or a node id; all waits are seconds of the node's time.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hil.errors import NodeFault
from hil.faults import RigFault
from hil.fleet_process import READY_S, die_with_parent
from hil.protocols import Clock

AREA = ("440106", "Tianhe")
PERSON = "Li Wei"
_PORTS = {
    "--port": "api_port", "--broker-port": "broker_port", "--coap-port": "coap_port",
    "--updates-port": "updates_port",
}  # fmt: skip


class NotReported(NodeFault):
    """The fleet did not get what a test waits for; the text has what it got."""


class Reading(NamedTuple):
    """A row of the database; `quantity` by name, times in us UTC."""

    id: int
    quantity: str
    value: int
    time_us: int
    quality: int
    trust: int
    received_us: int
    asset_id: int


class Fleet:
    """One fleet on `folder`/data. `clock` is that of the node with which it is used just now."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.clock: Clock | None = None
        self._began_us = 0
        self.reconfigured: set[str] = set()  # nodes that it has sent something of the kind
        self._log = folder / "fleet.log"
        self._process: subprocess.Popen[str] | None = None
        self._run: dict[str, Any] = {}
        self._tokens: dict[str, str] = {}

    def begin(self) -> None:
        """A test begins: alarms of before are none of its."""
        self._began_us = time.time_ns() // 1000

    # The process

    def running(self) -> None:
        """Start it where it does not run."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def start(self) -> None:
        """With the ports of before; RigFault where it is not ready in time."""
        if not self.data.exists():
            self.text("init")
            self.text("area", "add", *AREA)
        ports: list[str] = ["--enrol-port", str(self._run.get("enrol_port", 0))]
        for option, name in _PORTS.items():
            ports += [option, str(self._run.get(name, 0))]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fleet", "serve", "--json", *ports],
                env={**os.environ, "KAPOK_DATA": str(self.data)}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  it only asks the kernel
            )  # fmt: skip
        assert self._process.stdout is not None  # noqa: S101  a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise RigFault(f"the fleet did not start: {self._log.read_text().strip()[-300:]}")
        self._run = json.loads(line)
        self._run["enrol_port"] = self._run["enrol_url"].rpartition(":")[2]

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: no goodbye, no flush."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.communicate(timeout=READY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

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

    # Commands

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

    def token(self, node_type: str) -> str:
        """A claim token for nodes of the type."""
        if node_type not in self._tokens:
            self._tokens[node_type] = self.command(
                "token", "add", "--person", PERSON, "--area", AREA[0], "--node", node_type,
                "--count", 1000, "--again", "new",
            )["token"]  # fmt: skip
        return self._tokens[node_type]

    # What it has

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Of its database, which cannot be written so."""
        uri = f"file:{self.data / 'kapok.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return connection.execute(statement, values).fetchall()

    def mark(self) -> int:
        """The newest reading's number: for `since`."""
        return int(self.rows("SELECT coalesce(max(id), 0) FROM readings")[0][0])

    def readings(self, node: Any, quantity: str | None = None, since: int = 0) -> list[Reading]:
        """Readings of the node behind the mark, in the order in which they came."""
        from fleet.wire.quantity import QUANTITIES

        names = {number: row[0] for number, row in QUANTITIES.items()}
        found = self.rows(
            "SELECT id, quantity, value, time_us, quality, trust, received_us, asset_id"
            " FROM readings WHERE terminal_id = ? AND id > ? ORDER BY id",
            node_id(node), since,
        )  # fmt: skip
        listed = [Reading(row[0], names.get(row[1], str(row[1])), *row[2:]) for row in found]
        return [one for one in listed if quantity in (None, one.quantity)]

    def wait_reading(
        self,
        node: Any,
        quantity: str,
        seconds: float,
        since: int | None = None,
        where: Callable[[Reading], bool] = lambda _: True,
    ) -> Reading:
        """The first that comes (since None: from now on) and is so; NotReported."""
        mark = self.mark() if since is None else since
        found = self.until(
            lambda: [one for one in self.readings(node, quantity, mark) if where(one)], seconds
        )
        if not found:
            came = self.readings(node, None, mark)[-20:]
            raise NotReported(f"no such {quantity} within {seconds} s; there came: {came}")
        return found[0]  # type: ignore[no-any-return]

    def reported_us(self, node: Any) -> int:
        """When the node's newest report came, by the fleet's clock; 0: never."""
        found = self.rows(
            "SELECT coalesce(last_report_us, 0) FROM terminals WHERE id = ?", node_id(node)
        )
        return int(found[0][0]) if found else 0

    def wait_report(self, node: Any, seconds: float) -> None:
        """Until it has reported once more; NotReported."""
        mark = self.reported_us(node)
        if not self.until(lambda: self.reported_us(node) > mark, seconds):
            raise NotReported(f"node {node_id(node)} did not report within {seconds} s")

    def status(self, node: Any) -> dict[str, Any]:
        """As `kapok node show`."""
        return self.command("node", "show", node_id(node))  # type: ignore[no-any-return]

    def alarms(self, node: Any, everything: bool = True) -> list[dict[str, Any]]:
        """Its alarms, oldest first, those that are over too: as `kapok alarm list --all`."""
        more = ["--all"] if everything else []
        listed = self.command("alarm", "list", "--node", node_id(node), *more)
        found: list[dict[str, Any]] = listed["alarms"] if isinstance(listed, dict) else listed
        return found

    def wait_alarm(self, kind: str, node: Any, seconds: float) -> dict[str, Any]:
        """An open alarm of the kind; NotReported."""
        statement = "SELECT 1 FROM alarms WHERE kind = ? AND node_id = ? AND open_key IS NOT NULL"
        if not self.until(lambda: self.rows(statement, kind, node_id(node)), seconds):
            raise NotReported(f"no alarm {kind} within {seconds} s: {self.alarms(node)}")
        return next(one for one in self.alarms(node, False) if one["kind"] == kind)

    # What it does

    def configure(self, node: Any, values: Mapping[str, Any], seconds: float = 0) -> Any:
        """Send a patch; None takes a key away. With `seconds`: until the node has handled it."""
        pairs = [f"{k}={'' if v is None else json.dumps(v)}" for k, v in values.items()]
        self.reconfigured.add(node_id(node))
        answer = self.command("node", "configure", node_id(node), *pairs)
        if seconds:
            number = int(answer["number"])
            if not self.until(
                lambda: self.status(node)["configuration"]["handled"] >= number, seconds
            ):
                raise NotReported(f"configuration {number} was not handled: {self.status(node)}")
        return answer

    def send(self, node: Any, name: str, *arguments: object, options: Sequence[str] = ()) -> Any:
        """Send a command: as `kapok command send`."""
        return self.command("command", "send", name, *arguments, "--node", node_id(node), *options)

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """What it logged, from the byte `since` on (its size: `log_mark`)."""
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

    def until(self, what: Callable[[], Any], seconds: float) -> Any:
        """What `what` gives as soon as that is true, or when so much node time has passed."""
        if self.clock is None:
            raise RigFault("the fleet waits for a node, but the test has none: ask for `node`")
        return self.clock.until(what, seconds)


class Refused(AssertionError):
    """A kapok command was refused; the text is its line."""


def node_id(node: Any) -> str:
    """Of the fixture, or the id itself."""
    return node if isinstance(node, str) else str(node.id)
