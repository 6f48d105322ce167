"""Releases that fail now and then, over the fleet's own rollouts: below the error threshold they
reach everybody, above it they stop while few have failed.
"""

import os
import random
import tempfile
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import rollout_rig as rig
from rollout_rig import DAY_US, HOUR_US, Fleet

from fleet.rollouts import creating, lifecycle, states
from fleet.rollouts import plan as plans
from fleet.rollouts.states import Actor
from fleet.rollouts.tables import Update

RATES = (5, 10, 50, 200)  # permille of the nodes at which the release fails
THRESHOLD = 20  # permille
CANARY = 100
# So many that what goes on fails at far more than twice the canary; less where all is played.
NODES, NODES_OF_BAD = 2000, 10_000
STEP_S = 5 * 86400  # as fleet/updates/deadlines.py has it for a gas meter
ROUND_H = 6
MOST_DAYS = 120
# How a node fails: it says so, it goes back, or nobody hears of it any more.
_WAYS = (states.FAILED, states.ROLLED_BACK, states.REJECTED, states.LOST, states.LOST)


class End(NamedTuple):
    """Of one rollout. `failures`: nodes at which the release failed until it stopped, those that
    nobody had missed yet among them."""

    seed: int
    rate: int
    state: str
    failures: int
    days: float

    @property
    def is_right(self) -> bool:
        """Below the threshold it ends, above it it stops in time."""
        if self.rate < THRESHOLD:
            return self.state == lifecycle.FINISHED
        return self.state == lifecycle.STOPPED and self.failures <= 2 * CANARY


def run(count: int) -> list[End]:
    """`count` seeds, as many of each rate."""
    seeds = [(seed, RATES[seed % len(RATES)]) for seed in range(count)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(play, *zip(*seeds, strict=True), chunksize=4))


def play(seed: int, rate: int, nodes: int = 0) -> End:
    """One rollout to its end, in hours of a clock of its own."""
    with tempfile.TemporaryDirectory() as folder:
        nodes = nodes or (NODES if rate < THRESHOLD else NODES_OF_BAD)
        fleet = Fleet(Path(folder), nodes, "gas-meter")
        try:
            with pytest.MonkeyPatch.context() as patch:
                for name in rig.CLOCKS:
                    patch.setattr(name, fleet.clock)
                return _Play(fleet, seed, rate).run()
        finally:
            fleet.close()


class _Play:
    def __init__(self, fleet: Fleet, seed: int, rate: int) -> None:
        self._fleet, self._seed, self._rate = fleet, seed, rate
        self._random = random.Random(seed)
        self._due: dict[int, list[tuple[int, str]]] = defaultdict(list)  # hour -> update, end
        self._known: set[tuple[int, int]] = set()
        self._failing: dict[int, str | None] = {}
        self._failures: set[int] = set()

    def run(self) -> End:
        fleet = self._fleet
        fleet.offers.step_s = STEP_S
        plan = plans.Plan(canary=CANARY, errors=THRESHOLD, per_minute=60, retries=1)
        wanted = creating.Wanted("one", 5, "all", plan)
        creating.create(fleet.database, wanted, rig.LI, account="a")
        fleet.do("approve", by=rig.WANG, account="b")
        fleet.do("start")
        start = fleet.now
        while fleet.now - start < MOST_DAYS * DAY_US:
            self._round()
            row = fleet.row()
            if row.state not in (lifecycle.RUNNING,):
                break
        self._fetch()
        return End(
            self._seed, self._rate, row.state, len(self._failures), (fleet.now - start) / DAY_US
        )

    def _round(self) -> None:
        """Some hours: offers at their pace, then what nodes tell meanwhile."""
        fleet = self._fleet
        for _ in range(2):
            fleet.tick(60)
        self._fetch()
        fleet.now += ROUND_H * HOUR_US
        hour = fleet.now // HOUR_US
        ended: dict[str, list[int]] = defaultdict(list)
        for due in [each for each in self._due if each <= hour]:
            for identifier, state in self._due.pop(due):
                ended[state].append(identifier)
        for state, ids in ended.items():
            fleet.move(ids, state, Actor.NODE)

    def _fetch(self) -> None:
        """What becomes of the offers that are new."""
        for row in self._fleet.updates(Update.open_for.is_not(None)):
            key = (row.id, row.attempts)
            if key in self._known:
                continue
            self._known.add(key)
            if row.id not in self._failing:
                fails = self._random.randrange(1000) < self._rate
                self._failing[row.id] = self._random.choice(_WAYS) if fails else None
            way = self._failing[row.id]
            if way is not None:
                self._failures.add(row.id)
            hours = self._random.randrange(4, 48)
            if way != states.LOST:  # the clock finds those
                then = self._fleet.now // HOUR_US + hours
                self._due[then].append((row.id, way or states.SUCCEEDED))
