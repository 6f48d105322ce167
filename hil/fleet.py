"""The fixture `fleet`: a real `kapok serve` of this worker, and what a test asks of it.

For authors of tests:

    fleet.command("node", "list")     any kapok command, its --json parsed; fleet.text: as it is
    fleet.readings(node, "gas_volume", since=mark)    rows of the database, mark = fleet.mark()
    fleet.wait_reading(node, "gas_volume", seconds)   node time passes meanwhile; NotReported
    fleet.alarms(node), fleet.wait_alarm("leak", node, seconds)    that was raised in this test
    fleet.wait_over("leak", node, seconds)   until no such alarm is open; NotReported
    fleet.configure(node, {"report_s": 3600}, seconds=None)    by the next receipt; with seconds:
                                             waits until the node says what it applied or refused
    sent = fleet.send(node, "valve-close"); fleet.approve(sent)   what moves a valve needs two
    fleet.wait_command(sent, node, seconds)  until it has ended at the node: its delivery, a dict
    fleet.releases                           keys, bundles, rollouts: hil/releases.py
    fleet.status(node)                       as `kapok node show --json`
    since = fleet.reported_us(node); ...; fleet.wait_report(node, seconds, since)   ask before what
                                             makes it report: on a bench its time goes on
    fleet.stop(), .kill(), .start()          with the same ports
    fleet.rows("SELECT ...", value)          of its database, read only
    fleet.log(since=fleet.log_mark())        what it logged, JSON objects
    Refused                                  is raised where a command is: text as people see it

`node` is the fixture or a node id; all waits are seconds of the node's time.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hil.errors import NodeFault
from hil.faults import RigFault
from hil.fleet_serve import AREA, Refused, Serve
from hil.protocols import Clock
from hil.releases import Releases

__all__ = ["Fleet", "NotReported", "Reading", "Refused", "node_id"]
PERSON, SECOND = "Li Wei", "Wang Fang"
LOOK_S = 0.05


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


class Fleet(Serve):
    """One fleet on `folder`/data. `clock` is that of the node with which it is used just now."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.clock: Clock | None = None
        self.releases = Releases(self, folder)
        self.reconfigured: set[str] = set()  # nodes that it has sent a configuration
        self._began_us = 0
        self._tokens: dict[str, str] = {}

    def prepare(self) -> None:
        """As Serve's, and it trusts the rig's keys for releases."""
        super().prepare()
        self.releases.trust()

    def begin(self) -> None:
        """A test begins: alarms of before are none of its."""
        self._began_us = time.time_ns() // 1000

    def token(self, node_type: str) -> str:
        """A claim token for nodes of the type."""
        if node_type not in self._tokens:
            self._tokens[node_type] = self.command(
                "token", "add", "--person", PERSON, "--area", AREA[0], "--node", node_type,
                "--count", 1000, "--again", "new",
            )["token"]  # fmt: skip
        return self._tokens[node_type]

    # What it has

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

    def wait_report(self, node: Any, seconds: float, since: int | None = None) -> None:
        """Until it has reported since then, as `reported_us` told; None: now. NotReported."""
        mark = self.reported_us(node) if since is None else since
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
        """An open alarm of the kind that was raised since the test began; NotReported."""
        statement = (
            "SELECT 1 FROM alarms"
            " WHERE kind = ? AND node_id = ? AND open_key IS NOT NULL AND last_us >= ?"
        )
        asked = (kind, node_id(node), self._began_us)
        if not self.until(lambda: self.rows(statement, *asked), seconds):
            raise NotReported(f"no alarm {kind} within {seconds} s: {self.alarms(node)}")
        return next(one for one in self.alarms(node, False) if one["kind"] == kind)

    def wait_over(self, kind: str, node: Any, seconds: float) -> None:
        """Until no alarm of the kind is open at the node; NotReported."""
        statement = "SELECT 1 FROM alarms WHERE kind = ? AND node_id = ? AND open_key IS NOT NULL"
        if not self.until(lambda: not self.rows(statement, kind, node_id(node)), seconds):
            came = self.readings(node)[-20:]
            raise NotReported(
                f"{kind} is not over within {seconds} s: {self.alarms(node, False)}; there came "
                f"at last: {came}"
            )

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

    def send(self, node: Any, name: str, *arguments: object) -> int:
        """Send a command, as Li Wei; its number. What moves a valve waits for `approve`."""
        sent = self.command(
            "command", "send", name, *arguments, "--node", node_id(node), "--by", PERSON
        )
        return int(sent["id"])

    def approve(self, number: int) -> None:
        """A second person approves."""
        self.text("command", "approve", number, "--by", SECOND)

    def delivery(self, number: int, node: Any) -> dict[str, Any]:
        """What became of a command at the node: state, why, result, detail ..."""
        parts = self.command("command", "show", number)["parts"]
        return next((part for part in parts if part["node"] == node_id(node)), {})

    def wait_command(self, number: int, node: Any, seconds: float) -> dict[str, Any]:
        """Until it was executed, was refused, or has expired; NotReported."""
        statement = (
            "SELECT 1 FROM deliveries WHERE command_id = ? AND node_id = ? AND ended_us > 0"
        )
        if not self.until(lambda: self.rows(statement, number, node_id(node)), seconds):
            raise NotReported(f"command {number} has not ended: {self.delivery(number, node)}")
        return self.delivery(number, node)

    def soon(self, what: Callable[[], Any], seconds: float) -> None:
        """Until its own process has done that, in real time, no node's; RigFault."""
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                raise RigFault(f"the fleet has not done within {seconds:.0f} s what it should")
            time.sleep(LOOK_S)

    def until(self, what: Callable[[], Any], seconds: float) -> Any:
        """What `what` gives as soon as that is true, or when so much node time has passed."""
        if self.clock is None:
            raise RigFault("the fleet waits for a node, but the test has none: ask for `node`")
        return self.clock.until(what, seconds)


def node_id(node: Any) -> str:
    """Of the fixture, or the id itself."""
    return node if isinstance(node, str) else str(node.id)
