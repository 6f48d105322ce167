"""A fleet that is killed in the midst of a command or a configuration for many: each node's part
was done or was not, and what was begun is ended after the restart.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from command_rig import Town
from desired_rig import DISTRICT
from fleet_rig import query

from fleet.control import desired, layers
from fleet.control.targets import Target

ROOT = Path(__file__).parents[3]
NODES, KILLS = 60, 6

WORKER = """
import sys
from fleet.control import desired, releasing
from fleet.control.limits import Limits
from fleet.db.base import Database
desired.STEP = releasing._NODES = 3
database = Database(sys.argv[1])
while True:
    with database.begin() as session:
        releasing.release(session, Limits(100_000, 100_000))
        desired.step(session)
    print("committed", flush=True)
"""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, NODES)
    yield made
    made.close()


def kill_in_the_midst(town: Town, after_s: float) -> None:
    """The worker works for a moment, and is killed at its next step."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, f"sqlite:///{town.path}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"committed\n"
    time.sleep(after_s)  # what is interrupted is to be another thing each time
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait(30)
    worker.stdout.close()


def test_killed_at_any_moment(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desired, "STEP", 1)
    monkeypatch.setattr("fleet.control.releasing._NODES", 0)
    town.ask("reboot", to=[Target("area", rig.AREA)], per_minute=100_000)
    with town.database.begin() as session:
        layers.set_(session, Target("area", DISTRICT), {"report_s": 7200}, "Li Wei")
    released = []
    for n in range(KILLS):
        kill_in_the_midst(town, 0.003 * n)
        _is_consistent(town)
        released.append(query(town.path, "SELECT count(released_us) FROM deliveries")[0][0])
    assert any(0 < count < NODES for count in released)
    monkeypatch.undo()
    town.tick()
    while _steps(town):
        pass
    _is_consistent(town)
    assert query(town.path, "SELECT count(*) FROM deliveries WHERE number IS NOT NULL") == [
        (NODES,)
    ]
    ((patched,),) = query(
        town.path, "SELECT count(DISTINCT node_id) FROM downlinks WHERE kind = 1"
    )
    assert patched == NODES


def _steps(town: Town) -> bool:
    with town.database.begin() as session:
        desired.step(session)
        return desired.waits(session)


def _is_consistent(town: Town) -> None:
    """Counters say what is there, and each item belongs to one delivery or one node's wish."""
    ((open_, unreleased),) = query(town.path, "SELECT open, unreleased FROM commands")
    assert query(town.path, "SELECT count(*), sum(released_us IS NULL) FROM deliveries") == [
        (open_, unreleased)
    ]
    orphans = """SELECT count(*) FROM downlinks d LEFT JOIN deliveries e
                 ON e.node_id = d.node_id AND e.number = d.number
                 WHERE d.kind = 3 AND e.number IS NULL"""
    assert query(town.path, orphans) == [(0,)]
    numbers = query(town.path, "SELECT node_id, number FROM deliveries WHERE number IS NOT NULL")
    items = query(town.path, "SELECT node_id, number FROM downlinks WHERE kind = 3")
    assert sorted(numbers) == sorted(items)
    for node_id, sent, waiting in query(
        town.path, "SELECT node_id, sent, waiting FROM desired_nodes"
    ):
        held = query(
            town.path, "SELECT number FROM downlinks WHERE kind = 1 AND node_id = ?", node_id
        )
        assert json.loads(sent) == ({"report_s": 7200} if held else {})
        assert json.loads(waiting) == [number for (number,) in held]
