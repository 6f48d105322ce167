"""The fixture `door`: the port that a node takes for the fleet's, and who stands there.

door.held_by(host)              the node is pointed here, boots, and meets that one
door.context(wrong.expired)     what a server shows: hil/servers/wrong.py; what is good without
door.tried(count, seconds)      so many connections, from first to last; node time passes
door.told(seconds)              what the node says once it is served well
door.is_the_fleets(seconds)     from now on it meets the fleet, and reports
"""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hil.fleet import Fleet
from hil.node import Node
from hil.servers.certificates import Authority, Chain, good, of_fleet
from hil.servers.front import Front, Host, Relay, Visit
from hil.servers.standin import StandIn

# A contact each minute, with a record: what fails is seen soon to be tried again.
BRISK = {"sample_s": 60, "report_s": 60, "report_records": 1}
ERROR, CAUSE = 6, 7  # keys of a report's status (fleet/wire/uplink.py)
TLS_ERROR, MQTT_ERROR = 17, 18  # firmware/node/errors.py
NAME = "localhost"  # of the suite's fleet
LOOK_S = 5.0
AMBLE = 10  # what is waited for are silences; our answers come at once


class Door:
    """Of one node, for one test."""

    def __init__(self, node: Node, fleet: Fleet, front: Front, folder: Path) -> None:
        self._node = node
        self._fleet = fleet
        self._folder = folder
        self._pki = fleet.data / "pki"
        self.front = front
        node.hurry(AMBLE)

    def context(self, make: Callable[[Authority, str], Chain] = good) -> ssl.SSLContext:
        """A server that shows what `make` makes, by the fleet's authority and for the name by
        which the node calls the fleet, and lets in nodes of this fleet.
        """
        shown = make(of_fleet(self._pki), NAME)
        return shown.context(self._folder, self._pki / "bundle.crt")

    def held_by(self, host: Host, config: Mapping[str, Any] = BRISK) -> None:
        """The node boots, and who meets it is `host`."""
        self.front.plays(host)
        self._node.configure({**config, "port": self.front.port})

    def tried(self, count: int = 1, seconds: float = 900, step_s: float = LOOK_S) -> list[Visit]:
        """Once so many connections are over; NodeFault."""
        front = self.front
        self._node.until(lambda: len(front.ended) >= count, seconds, step_s)
        return front.ended

    def told(self, seconds: float = 900) -> dict[int, int]:
        """From now on whoever stands here is good: the status that the node tells him first, by
        the keys of fleet/wire/uplink.py; NodeFault.
        """
        server = StandIn(self.context())
        self.front.plays(server)
        self._node.until(lambda: server.reports, seconds, LOOK_S)
        status: dict[int, int] = server.reports[0].status
        return status

    def is_the_fleets(self, seconds: float = 1800) -> None:
        """From now on the node meets the fleet, which gets a report; NodeFault."""
        self.front.plays(Relay(self._fleet.port_of("mqtt")))
        mark = self._fleet.reported_us(self._node)
        self._node.until(lambda: self._fleet.reported_us(self._node) > mark, seconds, LOOK_S)
        self.tried()  # it has the receipt, too
