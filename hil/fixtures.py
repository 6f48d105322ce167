"""The suite's fixtures: node, fleet, modem, stimulus, power, current; see node.py and fleet.py."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labgrid.exceptions import NoDriverFoundError

from hil import protocols
from hil.current import CurrentTrace
from hil.drivers.bench import FOLDER
from hil.fleet import Fleet
from hil.inventory import Rig
from hil.locks import FileLocks, Unshared
from hil.node import Node
from hil.places import Holder, Place, Places
from hil.power import Power
from hil.pytest_plugin.held import hold, made_anew, take
from hil.pytest_plugin.planning import place_of, rig_of
from hil.pytest_plugin.wanted import wanted


@pytest.fixture(scope="session")
def rig_folder() -> Iterator[Path]:
    """Where this worker's fleet and virtual boards live; short, since sockets are there."""
    folder = Path(tempfile.mkdtemp(prefix="kapok-hil-"))
    before = {name: os.environ.get(name) for name in (FOLDER, "XDG_STATE_HOME")}
    os.environ[FOLDER] = str(folder)
    os.environ["XDG_STATE_HOME"] = str(folder / "state")  # marks of `kapok flash`
    yield folder
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def places(request: pytest.FixtureRequest, rig_folder: Path) -> Iterator[Places]:
    """The rig's places, of which this worker holds one at a time."""
    rig = rig_of(request.config)
    found = Places(rig, _holder(request.config, rig))
    yield found
    found.let_go()


def _holder(config: pytest.Config, rig: Rig) -> Holder:
    """A coordinator's reservations where one is named, else locks on this machine."""
    address = config.getoption("--coordinator")
    if not address:
        virtual = all("virtual" in place.features for place in rig.places)
        return Unshared() if virtual else FileLocks(rig)
    from hil.reservation import Coordinator

    return Coordinator(address, rig, config.getoption("--reserve-wait"))


@pytest.fixture(scope="session")
def worker_fleet(rig_folder: Path) -> Iterator[Fleet]:
    """This worker's fleet, that starts when the first test needs it."""
    fleet = Fleet(rig_folder)
    yield fleet
    fleet.stop()


@pytest.fixture
def place(request: pytest.FixtureRequest, places: Places, worker_fleet: Fleet) -> Place:
    """The place that the test was given, with the node type that it asks for, not yet started."""
    asked = wanted(request.node)
    found = places.take(place_of(request.node))
    take(request.node, found)
    found.fleet = worker_fleet
    worker_fleet.clock = found.strategy.clock
    strategy = found.strategy
    if strategy.node_id in worker_fleet.reconfigured:
        worker_fleet.reconfigured.discard(strategy.node_id)
        strategy.reconfigured()
    strategy.wants(asked.node, asked.config, worker_fleet)
    found.begin()
    hold(request.node, found)
    return found


@pytest.fixture
def node(request: pytest.FixtureRequest, place: Place) -> Node:
    """In the state from which the test starts."""
    try:
        place.strategy.bring(wanted(request.node).start)
    finally:
        if place.strategy.made_anew:
            made_anew(request.node, place.strategy.made_anew)
    return Node(place)


@pytest.fixture
def fleet(request: pytest.FixtureRequest, worker_fleet: Fleet) -> Fleet:
    """It runs."""
    if "node" in request.fixturenames:
        request.getfixturevalue("node")
    worker_fleet.running()
    worker_fleet.begin()
    return worker_fleet


def _driver(place: Place, protocol: Any) -> Any:
    try:
        return place.target.get_driver(protocol)
    except NoDriverFoundError:
        pytest.skip(f"{place.name} has no {protocol.__name__}")


@pytest.fixture
def modem(place: Place) -> Any:
    """hil.protocols.ModemControl: the twin's air and SIM."""
    return _driver(place, protocols.ModemControl)


@pytest.fixture
def stimulus(place: Place) -> Any:
    """hil.protocols.Stimulus: what the node senses."""
    return _driver(place, protocols.Stimulus)


@pytest.fixture
def power(place: Place) -> Power:
    """The node's supply."""
    return Power(place.strategy)


@pytest.fixture
def current(place: Place) -> CurrentTrace:
    """What the node draws."""
    return CurrentTrace(_driver(place, protocols.Current))
