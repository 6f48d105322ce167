"""A database with as many terminals as a city has, and what a rollout over them costs."""

import statistics
import time
from collections.abc import Iterator, Sequence

from rollout_rig import LI, Offers, add_release
from sqlalchemy import insert, select

from fleet.db.base import Database
from fleet.db.models import Base
from fleet.identity.token_tables import NodeHmacKey
from fleet.registry.tables import Area, Terminal, TerminalTag
from fleet.rollouts import creating, lifecycle, moves, states, tick
from fleet.rollouts.creating import Wanted
from fleet.rollouts.plan import Plan
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update
from fleet.updates.tables import Running
from fleet.wire import nodeid

STREETS = 176  # of Guangzhou
NOW_US = 1_795_411_860_000_000
MINUTE_US = 60 * 1_000_000
QUERY = "role = gas-meter and area = 4401 and version in (1..4) and tag not in (hospital)"
ROUNDS, BATCH = 15, 1000
_FIRST_MAC = 0x30AEA4000000
_CHUNK = 50_000


class City:
    """Gas meters; one in a thousand has a tag by which it is left out."""

    def __init__(self, url: str, count: int) -> None:
        self.database = Database(url)
        self.count = count
        self.now = NOW_US
        self.offers = Offers()
        Base.metadata.create_all(self.database.engine)
        with self.database.begin() as session:
            for street in range(STREETS):
                session.add(Area(code=_street(street), name="street"))
            add_release(session, 5, "gas-meter")
        for start in range(0, count, _CHUNK):
            self._add(range(start, min(start + _CHUNK, count)))

    def create(self) -> int:
        """Make the groups; how many terminals are in them. Everything is open at once after it."""
        plan = Plan(canary=5000, stages=(100,), per_minute=100_000, most_per_minute=100_000,
                    per_area=1_000_000)  # fmt: skip
        made = creating.create(
            self.database, Wanted("all", 5, QUERY, plan), LI, account="a",
            progress=lambda _done, _total: None,
        )  # fmt: skip
        with self.database.begin() as session:
            row = lifecycle.find(session, "all")
            lifecycle.approve(session, row, "Wang Fang", account="b")
            lifecycle.start(session, row, LI)
        return made.nodes

    def tick(self) -> float:
        """Offer to 1,000; then a batch in which as many tell how far they are. Seconds."""
        self.now += 2 * MINUTE_US
        began = time.perf_counter()
        done = tick.tick(self.database, self.offers, self.now, BATCH)
        spent = time.perf_counter() - began
        assert done.offered == BATCH, done
        with self.database.read() as session:
            ids = session.scalars(
                select(Update.id).where(Update.state == states.OFFERED).limit(BATCH)
            ).all()
        began = time.perf_counter()
        with self.database.begin() as session:
            moved = moves.move(session, ids, states.SUCCEEDED, Actor.NODE, self.now)
        assert len(moved) == BATCH
        return spent + time.perf_counter() - began

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _add(self, numbers: range) -> None:
        ids = {n: nodeid.from_mac((_FIRST_MAC + n).to_bytes(6, "big")) for n in numbers}
        tables = (
            (Terminal, self._terminals(ids)),
            (Running, ({"node_id": i, "sequence": 1 + n % 4, "image": 0, "runtime": 0,
                        "since_us": NOW_US} for n, i in ids.items())),
            (NodeHmacKey, ({"node_id": i, "current_for": i, "secret": b"", "created_us": 0}
                           for i in ids.values())),
            (TerminalTag, ({"tag": "hospital", "node_id": i}
                           for n, i in ids.items() if n % 1000 == 0)),
        )  # fmt: skip
        with self.database.begin() as session:
            for table, rows in tables:
                session.execute(insert(table.__table__), list(rows))  # type: ignore[attr-defined]

    def _terminals(self, ids: dict[int, str]) -> Iterator[dict[str, object]]:
        for n, node_id in ids.items():
            yield {
                "id": node_id, "kind": "node", "role": "gas-meter", "state": "active",
                "area_code": _street(n * 7919 % STREETS), "added_us": NOW_US,
                "last_report_us": NOW_US,
            }  # fmt: skip


def ticks(cities: Sequence[City]) -> list[float]:
    """The median of some ticks of each, in turn, so that all see the same machine."""
    spent: list[list[float]] = [[] for _ in cities]
    for turn in range(ROUNDS + 2):
        for times, city in zip(spent, cities, strict=True):
            took = city.tick()
            if turn > 1:
                times.append(took)
    return [statistics.median(times) for times in spent]


def _street(number: int) -> str:
    return f"440106{number:03}"
