"""A database with every table, made without the migrations: a copy of one that is made once."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine

from fleet.db.models import Base


def new_file(path: Path) -> None:
    """A new database file, before anybody opens it; one that is there stays."""
    if not path.exists():
        path.write_bytes(_image(frozenset(Base.metadata.tables)))


@cache
def _image(_tables: frozenset[str]) -> bytes:
    # By its tables: a test may import a module that brings more of them.
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with closing(engine.raw_connection()) as connection:
        raw: sqlite3.Connection = connection.driver_connection  # type: ignore[assignment]
        return raw.serialize()
