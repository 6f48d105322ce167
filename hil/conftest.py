"""The suite's fixtures, `pytest hil --rig hil/rigs/virtual.yaml`: see node.py, fleet.py."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.drivers.bench import FOLDER
from hil.fleet import Fleet
from hil.node import Node
from hil.places import Place, Places
from hil.pytest_plugin.held import hold
from hil.pytest_plugin.wanted import wanted

pytest_plugins = ("hil.pytest_plugin",)


@pytest.fixture(scope="session")
def rig_folder() -> Iterator[Path]:
    """Where this worker's fleet and virtual boards live; short, since sockets are there."""
    folder = Path(tempfile.mkdtemp(prefix="kapok-hil-"))
    os.environ[FOLDER] = str(folder)
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def places(request: pytest.FixtureRequest, rig_folder: Path) -> Iterator[Places]:
    """The rig's places."""
    rig = request.config.getoption("--rig")
    if not rig:
        pytest.skip("no rig: --rig hil/rigs/virtual.yaml")
    found = Places(Path(rig), request.config.getoption("--place"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def worker_fleet(rig_folder: Path) -> Iterator[Fleet]:
    """This worker's fleet."""
    fleet = Fleet(rig_folder)
    yield fleet
    fleet.stop()


@pytest.fixture
def place(request: pytest.FixtureRequest, places: Places, worker_fleet: Fleet) -> Place:
    """A place that the test's markers ask for."""
    asked = wanted(request.node)
    found = places.take(asked.node, asked.needs)
    found.fleet = worker_fleet
    hold(request.node, found)
    return found


@pytest.fixture
def fleet(worker_fleet: Fleet, node: Node) -> Fleet:
    """It runs."""
    worker_fleet.running()
    return worker_fleet


@pytest.fixture
def node(request: pytest.FixtureRequest, place: Place, worker_fleet: Fleet) -> Node:
    """In the state that the test starts from."""
    asked = wanted(request.node)
    strategy = place.strategy
    if strategy.node_id in worker_fleet.spoilt:
        worker_fleet.spoilt.discard(strategy.node_id)
        strategy.spoilt()
    worker_fleet.clock = strategy.clock
    strategy.wants(asked.node, asked.config, worker_fleet)
    strategy.transition(asked.start)
    return Node(place)
