"""Fixtures of the suite's own: a door at which the rig's servers stand in for the fleet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.fleet import Fleet
from hil.node import Node
from hil.servers.door import Door
from hil.servers.front import Front


@pytest.fixture(scope="session")
def front() -> Iterator[Front]:
    """One port for all tests: a node that is pointed at it once need not be again."""
    found = Front()
    yield found
    found.close()


@pytest.fixture
def door(node: Node, fleet: Fleet, front: Front, tmp_path: Path) -> Door:
    """Of the node: see hil/servers/door.py."""
    return Door(node, fleet, front, tmp_path)
