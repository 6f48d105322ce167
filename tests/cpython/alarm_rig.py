"""A fleet for tests of alarms: nodes at assets, records by the real ingest, virtual time."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from ingest_rig import node_ids
from schema import new_file
from sqlalchemy import event

from fleet.alarms import intake, listing
from fleet.alarms.listing import Filter, Listed
from fleet.alarms.tables import OutMessage
from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.uplink.ingest import Ingest
from fleet.uplink.message import Message
from fleet.wire import report

STREET = "440106001"
START = 1_795_411_800  # s since 1970: 2026-11-23T05:30:00Z
EVENT = 1000
SECOND = 1_000_000

Record = tuple[int, list[tuple[int, int]]]  # s since START, values


def _hurried(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # no test of these cuts the power


class AlarmRig:
    """A database of its own; `now` is the fleet's clock in s behind START."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        clock = SimpleNamespace(time_ns=lambda: int((START + self.now) * 1_000_000_000))
        monkeypatch.setattr(registry, "time", clock)
        self.path = folder / "kapok.db"
        new_file(self.path)
        self.database = Database(f"sqlite:///{self.path}")
        event.listen(self.database.engine, "connect", _hurried)
        self.ingest = Ingest(self.database)
        self._sequences: dict[str, int] = {}
        self._macs = 0

    def nodes(self, role: str, count: int = 1, area: str = STREET) -> list[str]:
        """Some new nodes, each at an asset of its own."""
        made = node_ids(count, 0x30AEA4300000 + self._macs)
        self._macs += count
        with self.database.begin() as session:
            registry.add_area(session, area, f"area {area}")
            for node_id in made:
                registry.add_node(session, node_id, role, area)
        return made

    def asset(self, node_id: str) -> int:
        """The number of a node's asset."""
        with self.database.read() as session:
            found = registry.show_node(session, node_id).asset_id
        assert found is not None
        return found

    def payload(
        self,
        node_id: str,
        records: Sequence[Record],
        quality: int = 0,
        first: int | None = None,
        ahead: int = 0,
    ) -> bytes:
        """A report with records of these times, under the node's next sequence numbers.

        `ahead`: s by which the node's clock is.
        """
        if first is None:
            first = self._sequences.get(node_id, 0) + 1
            self._sequences[node_id] = first + len(records) - 1
        bodies = [
            (number, report.encode_body(START + at + ahead, quality, values))
            for number, (at, values) in enumerate(records, first)
        ]
        return report.encode(7, START + int(self.now) + ahead, bodies, {})

    def deliver(self, *parts: tuple[str, bytes]) -> list[str]:
        """Payloads in one batch; what became of each."""
        received = int((START + self.now) * SECOND)
        messages = [Message(node_id, payload, received) for node_id, payload in parts]
        return [outcome.kind for outcome in self.ingest.process(messages)]

    def say(self, node_id: str, *records: Record, quality: int = 0) -> None:
        """One report, which must be stored."""
        assert self.deliver((node_id, self.payload(node_id, records, quality))) == ["stored"]

    def series(self, node_id: str, quantity: int, points: Iterable[tuple[int, int]]) -> None:
        """One report for each (s, value), as it is measured."""
        for at, value in points:
            self.now = max(self.now, at)
            self.say(node_id, (at, [(quantity, value)]))

    def tick(self) -> int:
        """As upkeep does."""
        with self.database.begin() as session:
            return intake.tick(session)

    def alarms(self, **wanted: object) -> list[Listed]:
        """Open ones that are told, unless `wanted` says otherwise."""
        with self.database.read() as session:
            return listing.list_(session, Filter(**wanted))  # type: ignore[arg-type]

    def kinds(self, **wanted: object) -> list[str]:
        """Their kinds."""
        return [each.kind for each in self.alarms(**wanted)]

    def outbox(self, *states: str) -> list[tuple[str, str, str]]:
        """(channel, event, state) of the messages, those of some states if any is named."""
        with self.database.read() as session:
            rows = session.query(OutMessage).order_by(OutMessage.id).all()
        return [
            (row.channel, row.event, row.state)
            for row in rows
            if not states or row.state in states
        ]
