"""A fleet with meters that have keys, a node that checks what it is handed, and its own words."""

import hmac
from collections.abc import Sequence
from pathlib import Path

import fleet_rig as rig
from coap_rig import WRAPPER

from fleet.control import commands, releasing
from fleet.control.commands import Asked, Wanted
from fleet.control.limits import Limits
from fleet.control.operations import COMMAND
from fleet.control.targets import Target
from fleet.db.base import Database
from fleet.identity import hmac_keys
from fleet.registry.operations import now_us
from fleet.uplink.ingest import Ingest
from fleet.wire import command, receipt, report

DAY_S = 86400
PLENTY = Limits(1000, 1000)
LI, WANG = "Li Wei", "Wang Fang"


class Town:
    """Gas meters of one area, and what persons do."""

    def __init__(self, folder: Path, count: int = 1, limits: Limits = PLENTY) -> None:
        self.database = rig.open_database(folder)
        self.path = folder / "kapok.db"
        self.ingest = Ingest(self.database, WRAPPER)
        self.limits = limits
        self.nodes = sorted(rig.add_nodes(self.database, count, "gas-meter"))
        for node_id in self.nodes:
            give_key(self.database, node_id)

    def ask(
        self, name: str = "valve-close", *arguments: int, to: Sequence[Target] = (),
        by: str = LI, lives_s: int = DAY_S, per_minute: int = 1000,
    ) -> Asked:  # fmt: skip
        """By default to the first meter."""
        targets = to or [Target("node", self.nodes[0])]
        with self.database.begin() as session:
            wanted = Wanted(name, arguments, targets, lives_s, per_minute)
            return commands.ask(session, wanted, by, self.limits, account=f"of {by}")

    def approve(self, identifier: int, by: str = WANG) -> None:
        """The second person."""
        with self.database.begin() as session:
            commands.approve(session, identifier, by, self.limits, account=f"of {by}")

    def tick(self) -> int:
        """As the running fleet does; how many nodes' parts were released."""
        with self.database.begin() as session:
            done = releasing.release(session, self.limits)
            releasing.expire(session)
            return done

    def deliveries(self) -> list[tuple[str, str, str]]:
        """(node, state, why), not by the fleet's code."""
        return rig.query(
            self.path, "SELECT node_id, state, why FROM deliveries ORDER BY command_id, node_id"
        )

    def meter(self, place: int = 0) -> "Meter":
        """A node that reports."""
        return Meter(self, self.nodes[place])

    def close(self) -> None:
        """Close the database."""
        self.database.close()


class Meter:
    """A node that does as firmware must: each number once, in order, with a good mac, in time."""

    def __init__(self, town: Town, node_id: str) -> None:
        self.town = town
        self.node_id = node_id
        self.heard: list[bytes] = []  # every payload of a command that it was ever given
        self.done: list[tuple[int, int, list[int]]] = []  # number, code, arguments
        self._key = key_of(town.database, node_id)
        self._handled = self._refused = 0
        self._sequence = 0

    def report(self, results: Sequence[tuple[int, int]] = (), lose_answer: bool = False) -> None:
        """Tell results (number, result), and do what the answer brings, unless it is lost."""
        items = self.exchange(results)
        if not lose_answer:
            for number, kind, payload in items:
                self.take(number, kind, payload)

    def exchange(self, results: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int, bytes]]:
        """One report and the items of its answer."""
        now = now_us()
        values = [[(900, n), (901, result), (902, 0)] for n, result in results] or [[(1, 7)]]
        bodies = []
        for each in values:
            self._sequence += 1
            body = report.encode_body(now // 1_000_000, report.GOOD, each)
            bodies.append((self._sequence, body))
        status = {14: self._handled, 15: self._refused}
        sent = report.encode(5, now // 1_000_000, bodies, {k: v for k, v in status.items() if v})
        (outcome,) = self.town.ingest.process([rig.message(self.node_id, sent, now)])
        assert outcome.receipt is not None
        return [(n, kind, payload) for n, kind, payload in receipt.decode(outcome.receipt).items]

    def take(self, number: int, kind: int, payload: bytes, *, at_s: int | None = None) -> int:
        """What the node makes of an item: a result. Others than commands are ignored."""
        if kind != COMMAND:
            return command.NOT_MINE
        self.heard.append(payload)
        if number <= self._handled:
            return command.REPLAYED
        code, arguments, identifier, expiry, mac = command.decode(payload)
        now = now_us() // 1_000_000 if at_s is None else at_s
        text = command.signed(self.node_id, number, code, arguments, identifier, expiry)
        if not hmac.compare_digest(mac, hmac.digest(self._key, text, "sha256")[: command.MAC]):
            return command.FORGED
        self._handled = number
        if not now < expiry <= now + command.LONGEST_S:
            self._refused = number
            return command.EXPIRED
        self.done.append((number, code, arguments))
        return command.DONE


def give_key(database: Database, node_id: str) -> None:
    """A key of its own for commands, as provisioning gives."""
    with database.begin() as session:
        hmac_keys.next_key(session, WRAPPER, node_id)
        hmac_keys.promote(session, node_id)


def key_of(database: Database, node_id: str) -> bytes:
    """The key that lies on the node."""
    with database.read() as session:
        return bytes(hmac_keys.held(session, WRAPPER, [node_id])[node_id][0])
