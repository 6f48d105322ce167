"""Nodes that take configurations as firmware does: a patch whole or not at all, by the schema."""

import zlib
from pathlib import Path
from typing import Any

import fleet_rig as rig
from coap_rig import WRAPPER

from fleet import schema
from fleet.control import desired, groups, layers
from fleet.control.operations import CONFIG
from fleet.control.targets import Target
from fleet.registry import operations as registry
from fleet.registry.operations import now_us
from fleet.uplink.ingest import Ingest
from fleet.wire import cbor, receipt, report

CITY, DISTRICT, STREET, OTHER = "4401", "440106", "440106001", "440105"
BASE = {"modem": "bc660k", "pins": {}, "host": "fleet", "port": 8883}


class Town:
    """Areas, nodes of any role, and persons who configure them."""

    def __init__(self, folder: Path) -> None:
        self.database = rig.open_database(folder)
        self.path = folder / "kapok.db"
        self.ingest = Ingest(self.database, WRAPPER)
        self.nodes: dict[str, Configured] = {}
        with self.database.begin() as session:
            for code in (CITY, DISTRICT, STREET, OTHER):
                registry.add_area(session, code, f"area {code}")

    def add(self, role: str = "drainage", area: str = DISTRICT) -> "Configured":
        """A node that has only what its board needs."""
        node_id = rig.new_node_id()
        with self.database.begin() as session:
            registry.add_node(session, node_id, role, area)
        self.nodes[node_id] = Configured(self, node_id, role)
        return self.nodes[node_id]

    def set(self, kind: str, name: str, role: str = "", **patch: Any) -> layers.Set:
        """As `kapok config set`."""
        with self.database.begin() as session:
            return layers.set_(session, Target(kind, name, role), patch, "Li Wei")

    def group(self, name: str, *nodes: "Configured", rank: int = 0) -> None:
        """A group of these nodes."""
        with self.database.begin() as session:
            groups.add(session, name, rank)
            groups.join(session, name, [node.node_id for node in nodes])

    def leave(self, name: str, *nodes: "Configured") -> None:
        """They are not in it any more."""
        with self.database.begin() as session:
            groups.leave(session, name, [node.node_id for node in nodes])

    def steps(self) -> None:
        """All the work that a running fleet would do by and by."""
        while True:
            with self.database.begin() as session:
                if not desired.waits(session):
                    return
                desired.step(session)

    def drifting(self) -> list[str]:
        """Not by the fleet's code."""
        rows = rig.query(
            self.path, "SELECT node_id FROM desired_nodes WHERE drifting ORDER BY node_id"
        )
        return [node_id for (node_id,) in rows]

    def patches(self) -> int:
        """How many were ever queued."""
        ((count,),) = rig.query(self.path, "SELECT count(*) FROM downlinks WHERE kind = 1")
        return int(count)

    def close(self) -> None:
        """Close the database."""
        self.database.close()


class Configured:
    """A node; `values` is its configuration beyond the base."""

    def __init__(self, town: Town, node_id: str, role: str) -> None:
        self.town, self.node_id, self.role = town, node_id, role
        self.values: dict[str, Any] = {}
        self._applied = self._handled = self._refused = 0
        self._before: dict[str, Any] = {}
        self._results: list[tuple[int, int, int]] = []
        self._sequence = 0

    def report(self, *, lose_answer: bool = False, refuse: str = "") -> None:
        """Tell what it did, and take what the answer brings; `refuse` names a key that fails."""
        now = now_us() // 1_000_000
        told = [[(900, n), (901, result), (902, detail)] for n, result, detail in self._results]
        bodies = []
        for values in told or [[(2, 7)]]:
            self._sequence += 1
            bodies.append((self._sequence, report.encode_body(now, report.GOOD, values)))
        status = {13: self._applied, 14: self._handled, 15: self._refused}
        sent = report.encode(9, now, bodies, {k: v for k, v in status.items() if v})
        (outcome,) = self.town.ingest.process([rig.message(self.node_id, sent, now * 1_000_000)])
        assert outcome.kind == "stored"
        self._results = []
        if not lose_answer:
            for number, kind, payload in receipt.decode(outcome.receipt or b"").items:
                if kind == CONFIG and number > self._handled:
                    patch = cbor.decode(payload)
                    assert isinstance(patch, dict)
                    self._take(number, patch, refuse)

    def settle(self) -> None:
        """Report until there is nothing new to tell."""
        for _ in range(4):
            self.report()

    def go_back(self) -> None:
        """It could not reach its fleet by the newest configuration."""
        self._results.append((self._applied, 12, 0))
        self.values, self._refused = dict(self._before), self._applied
        self._applied = 0

    def _take(self, number: int, patch: dict[str, Any], refuse: str) -> None:
        self._handled = number
        wrong = []
        rules = schema.rules(self.role)
        for key, value in patch.items():
            try:
                if key == refuse:
                    raise schema.SchemaError(key, schema.INVALID, "as the test wants it")
                if value is not None:
                    schema.judge(key, rules[key], value)
            except schema.SchemaError as e:
                wrong.append((number, e.code, zlib.crc32(key.encode())))
        if wrong:
            self._refused = number
            self._results += wrong
            return
        merged = {**self.values, **patch}
        merged = {key: value for key, value in merged.items() if value is not None}
        try:
            whole = {**BASE, "node": self.node_id, "role": self.role, **merged}
            schema.check(whole)
        except schema.SchemaError as e:
            self._refused = number
            self._results.append((number, e.code, zlib.crc32(e.key.encode())))
            return
        self._before, self.values, self._applied = self.values, merged, number
