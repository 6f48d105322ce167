"""A fleet with nodes in several areas, a release, an offerer that only counts, and a clock."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fleet_rig as rig
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from fleet.db.base import Database
from fleet.identity.token_tables import NodeHmacKey
from fleet.registry import operations as registry
from fleet.registry.tables import Terminal
from fleet.releases.tables import PROMOTED, Release
from fleet.rollouts import creating, lifecycle, moves, retrying, states, tick
from fleet.rollouts.creating import Made, Wanted
from fleet.rollouts.plan import Plan
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Rollout, RolloutCount, RolloutGroup, Update
from fleet.updates.tables import Running
from fleet.wire import release as wire

FAST: dict[str, Any] = {"per_minute": 1000, "most_per_minute": 1000, "sample": 10}
HOUR_US = 3600 * 1_000_000
DAY_US = 24 * HOUR_US
SECOND_US = 1_000_000
LI, WANG = "Li Wei", "Wang Fang"
CLOCKS = (
    "fleet.rollouts.creating.now_us", "fleet.rollouts.lifecycle.now_us",
    "fleet.rollouts.retrying.now_us", "fleet.registry.operations.now_us",
)  # fmt: skip


def manifest(sequence: int, role: str = "drainage", board: str = "", **more: Any) -> wire.Manifest:
    """Of an application alone."""
    parts = {
        "vendor": bytes(16), "product": bytes(16), "abi": (0x0603, 0x0603),
        "runtime": (0x010000, 0x02FFFF), "needs": [], "expiry": 0xFFFFFFFF,
        "components": [wire.Component(wire.APPLICATION, 40_000, bytes(32), 0)],
    }  # fmt: skip
    return wire.Manifest(sequence=sequence, role=role, board=board, **{**parts, **more})


def add_release(
    session: Session, sequence: int, role: str = "drainage", board: str = "",
    state: str = PROMOTED, modulus: bytes = b"", **more: Any,
) -> None:  # fmt: skip
    """A release as if it were signed; with a `modulus` by a root key."""
    raw = wire.encode(manifest(sequence, role, board, **more))
    session.add(
        Release(
            sequence=sequence, role=role, board=board, state=state, manifest=raw,
            envelope=wire.seal(raw, [(bytes(8), bytes(384), modulus)]), digest=bytes(32),
            image=sequence.to_bytes(8, "big"), sbom="", added_us=0, person="", reason="",
        )
    )  # fmt: skip
    session.flush()


class Offers:
    """Gives numbers, to whom it is told not to refuse; remembers what was taken back."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.withdrawn: list[str] = []
        self.refused: set[str] = set()
        self.step_s: int | None = None
        self._numbers = itertools.count(1)

    def offer(self, session: Session, updates: Iterable[Update], now_us: int) -> dict[int, int]:
        numbers = {}
        for each in updates:
            if each.node_id not in self.refused:
                self.given.append(each.node_id)
                each.step_s = self.step_s
                numbers[each.id] = next(self._numbers)
        return numbers

    def withdraw(self, session: Session, updates: Iterable[Update], now_us: int) -> None:
        self.withdrawn += [each.node_id for each in updates]


class Fleet:
    """`now` is the fleet's clock, us; the rig's fixture puts it in place."""

    def __init__(self, folder: Path, nodes: int = 0, role: str = "drainage") -> None:
        self.database: Database = rig.open_database(folder)
        self.path = folder / "kapok.db"
        self.now = rig.NOW_US
        self.offers = Offers()
        self.sequence = 5  # what runs on nodes that succeed
        self.nodes: list[str] = []
        if nodes:
            self.add(nodes, role)
        with self.database.begin() as session:
            add_release(session, 5, role)

    def clock(self) -> int:
        return self.now

    def add(self, count: int, role: str = "drainage", areas: int = 4, runs: int = 4) -> list[str]:
        """Nodes with keys that run release `runs`, in some streets."""
        ids = [rig.new_node_id() for _ in range(count)]
        codes = [f"440106{number:03}" for number in range(areas)]
        with self.database.begin() as session:
            for code in codes:
                registry.add_area(session, code, f"street {code}")
            session.execute(
                insert(Terminal),
                [
                    {
                        "id": node_id, "kind": "node", "role": role, "state": "active",
                        "area_code": codes[n % areas], "added_us": self.now,
                        "last_report_us": self.now,
                    }
                    for n, node_id in enumerate(ids)
                ],
            )  # fmt: skip
            session.execute(
                insert(NodeHmacKey),
                [{"node_id": n, "current_for": n, "secret": b"", "created_us": 0} for n in ids],
            )
            session.execute(
                insert(Running),
                [
                    {
                        "node_id": n, "sequence": runs, "image": 0, "runtime": 0,
                        "since_us": self.now,
                    }
                    for n in ids
                ],
            )  # fmt: skip
        self.nodes += ids
        return ids

    def create(
        self, query: str = "role = drainage", name: str = "one", *, by: str = LI,
        urgent: bool = False, sequence: int = 5, **plan: Any,
    ) -> Made:  # fmt: skip
        wanted = Wanted(name, sequence, query, Plan(**plan), urgent)
        return creating.create(self.database, wanted, by, account=f"of {by}")

    def do(self, act: str, name: str = "one", by: str = LI, **more: Any) -> Any:
        """A person's act of lifecycle."""
        with self.database.begin() as session:
            row = lifecycle.find(session, name)
            return getattr(lifecycle, act)(session, row, by, **more)

    def retry(self, name: str = "one", by: str = LI) -> int:
        """A person has the failed ones tried again."""
        return retrying.retry(self.database, name, by)

    def tick(self, after_s: float = 60) -> tick.Ticked:
        """Time passes, and what is due is done."""
        self.now += int(after_s * SECOND_US)
        return tick.tick(self.database, self.offers, self.now)

    def play(self, ends: str = states.SUCCEEDED, rounds: int = 40) -> None:
        """Ticks, and every offer ends so."""
        for _ in range(rounds):
            self.tick()
            self.move(self.open_ids(), ends)
            if self.row().state == lifecycle.FINISHED:
                break
        self.check()

    def row(self, name: str = "one") -> Rollout:
        with self.database.read() as session:
            return session.scalars(select(Rollout).where(Rollout.name == name)).one()

    def updates(self, *where: Any) -> list[Update]:
        with self.database.read() as session:
            return list(session.scalars(select(Update).where(*where).order_by(Update.place)))

    def open_ids(self) -> list[int]:
        return [each.id for each in self.updates(Update.open_for.is_not(None))]

    def move(
        self, ids: Iterable[int], to: str, actor: Actor = Actor.NODE, reason: str = "",
        mark: int | None = None,
    ) -> list[int]:  # fmt: skip
        """As the intake does; nodes that succeed run the release from then on."""
        with self.database.begin() as session:
            moved = moves.move(session, ids, to, actor, self.now, reason, mark)
            mine = select(Update.node_id).where(Update.id.in_(moved))
            if actor is Actor.NODE:
                session.execute(
                    update(Terminal).where(Terminal.id.in_(mine)).values(last_report_us=self.now)
                )
            if to == states.SUCCEEDED:
                session.execute(
                    update(Running)
                    .where(Running.node_id.in_(mine))
                    .values(sequence=self.sequence, since_us=self.now)
                )
            return moved

    def groups(self, name: str = "one") -> list[tuple[str, str, int, int]]:
        """(name, state, total, errors) of each."""
        with self.database.read() as session:
            rows = session.scalars(
                select(RolloutGroup)
                .where(RolloutGroup.rollout_id == self.row(name).id)
                .order_by(RolloutGroup.number)
            )
            return [(row.name, row.state, row.total, row.errors) for row in rows]

    def check(self) -> None:
        """What is counted is what is there, and the indexes are told what is due."""
        with self.database.read() as session:
            rows = list(session.scalars(select(Update)))
            counted = {
                (row.rollout_id, row.group_no, row.state): row.count
                for row in session.scalars(select(RolloutCount))
                if row.count
            }
            groups = {
                (row.rollout_id, row.number): row.errors
                for row in session.scalars(select(RolloutGroup))
            }
        found: dict[tuple[int, int, str], int] = {}
        errors = dict.fromkeys(groups, 0)
        for row in rows:
            key = (row.rollout_id, row.group_no)
            found[(*key, row.state)] = found.get((*key, row.state), 0) + 1
            errors[key] += states.is_error(row.state, row.attempts)
            assert (row.open_for == row.node_id) == (row.state in states.OPEN), row.state
            assert (row.step_us is not None) == (row.state in states.OPEN)
            assert row.step_us is None or row.step_us <= (row.absolute_us or 0)
            assert row.state != states.SCHEDULED or row.due_us is not None
        assert counted == found
        assert groups == errors

    def close(self) -> None:
        self.database.close()


def fleets(folder: Path, monkeypatch: pytest.MonkeyPatch, nodes: int) -> Iterator[Fleet]:
    """For a fixture: a fleet by whose clock all that asks for the time goes."""
    made = Fleet(folder, nodes)
    for name in CLOCKS:
        monkeypatch.setattr(name, made.clock)
    yield made
    made.close()
