"""Fixtures of the ingest's tests: a database with the schema, the ingest on it, and one node."""

from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest

from fleet.db.base import Database
from fleet.uplink.ingest import Ingest


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = rig.open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kapok.db"


@pytest.fixture
def ingest(database: Database) -> Ingest:
    return Ingest(database)


@pytest.fixture
def node(database: Database) -> str:
    (node_id,) = rig.add_nodes(database, 1)
    return node_id
