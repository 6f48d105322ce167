"""SQLite as the fleet needs it: what is committed is on disk, in the file that is still there."""

import os
import sqlite3
import threading
from typing import Any

from sqlalchemy import Engine, event, exc
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

BUSY_MS = 5000  # how long a statement waits for another process's lock
TURN_S = 60.0  # how long a thread waits for the others of its process


class DatabaseGone(SQLAlchemyError):
    """The database file was deleted or replaced while it was open."""


class Turn:
    """One writer of this process after the other.

    SQLite has one writer, and those who wait for its lock ask now and then, at growing intervals:
    of many, some never meet a free moment, and give up.
    """

    def __init__(self) -> None:
        self._free = threading.Lock()

    def __enter__(self) -> None:
        if not self._free.acquire(timeout=TURN_S):
            raise exc.TimeoutError(f"the database was busy for {TURN_S:g} s: try again")

    def __exit__(self, *_: object) -> None:
        self._free.release()


def prepare(engine: Engine) -> None:
    """Durability, locks and the guard of the file for every connection of `engine`."""
    event.listen(engine, "connect", _pragmas)
    event.listen(engine, "begin", _begin)
    path = make_url(engine.url).database
    if path and path != ":memory:":
        _File(path).guard(engine)


class _File:
    """The file that the first connection opened, by device and inode.

    A deleted file would take commits for as long as it is open, and a receipt for one of them
    would make a node forget what nobody has any more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    def guard(self, engine: Engine) -> None:
        event.listen(engine, "do_connect", self._before)
        event.listen(engine, "connect", self._connected)
        event.listen(engine.pool, "checkout", self._before)
        event.listen(engine, "commit", self._before)

    def _connected(self, _connection: Any, _record: object) -> None:
        if self._identity is None:
            self._identity = self._found()

    def _before(self, *_args: object) -> None:
        if self._identity is not None and self._found() != self._identity:
            raise DatabaseGone(f"{self._path} was deleted or replaced: put it back, or restart")

    def _found(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling would delay BEGIN and commit before DDL: take it over.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a receipt promises that a power cut loses nothing
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Any) -> None:
    # A writer takes the lock at its beginning: one that began as a reader could not wait for it.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
