"""What tests of the fleet share: a data folder, a database, nodes, reports, and what is stored."""

import contextlib
import itertools
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from schema import new_file
from sqlalchemy import delete

from fleet.db.base import Database
from fleet.db.models import Base
from fleet.registry import operations as registry
from fleet.uplink.ingest import Outcome
from fleet.uplink.message import Message
from fleet.wire import nodeid, receipt, report

AREA = "440106"
NOW_US = 1_795_411_860_000_000  # 2026-11-23T05:31:00Z
_macs = itertools.count(0x30AEA4100001)

Pair = tuple[int, int]  # (epoch, sequence)


def new_node_id() -> str:
    """A node id that no other test of this process has."""
    return nodeid.from_mac(next(_macs).to_bytes(6, "big"))


def open_database(folder: Path) -> Database:
    """A database file with every table, made without the migrations."""
    new_file(folder / "kapok.db")
    return Database(f"sqlite:///{folder / 'kapok.db'}")


def empty(database: Database, *tables: type[Base]) -> None:
    """Delete all rows of some tables."""
    with database.begin() as session:
        for table in tables:
            session.execute(delete(table))


def add_nodes(database: Database, count: int, role: str = "drainage") -> list[str]:
    """Register nodes in an area of their own."""
    node_ids = [new_node_id() for _ in range(count)]
    with database.begin() as session:
        registry.add_area(session, AREA, "Tianhe")
        for node_id in node_ids:
            registry.add_node(session, node_id, role, AREA)
    return node_ids


def value_of(epoch: int, sequence: int) -> int:
    """The value that a test's record carries: it tells which record it is."""
    return epoch << 32 | sequence


def make_report(
    epoch: int, sequences: Iterable[int], status: dict[int, int] | None = None
) -> bytes:
    """A report whose records carry value_of(epoch, sequence) as a level."""
    time_s = NOW_US // 1_000_000 - 60
    bodies = [
        (n, report.encode_body(time_s, report.GOOD, [(2, value_of(epoch, n))])) for n in sequences
    ]
    return report.encode(epoch, time_s, bodies, status or {})


def message(node_id: str, payload: bytes, at_us: int = NOW_US) -> Message:
    """A message that came in at `at_us`."""
    return Message(node_id, payload, at_us)


def covered(raw: bytes | None) -> set[Pair]:
    """The (epoch, sequence) that a receipt covers; none for None."""
    if raw is None:
        return set()
    parsed = receipt.decode(raw)
    return {(parsed.epoch, n) for first, last in parsed.ranges for n in range(first, last + 1)}


def query(path: Path, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    """Rows by a connection of its own, which sees what is committed and nothing else."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement, arguments).fetchall()


def stored(path: Path) -> Counter[tuple[str, int, int]]:
    """How often each (node, epoch, sequence) is committed."""
    rows = query(path, "SELECT terminal_id, value FROM readings")
    return Counter((node, value >> 32, value & 0xFFFFFFFF) for node, value in rows)


@contextlib.contextmanager
def writer_elsewhere(path: Path) -> Iterator[None]:
    """Another process holds the database's write lock meanwhile."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def one_account(data: Path) -> None:
    """Let two persons share the account under which the tests run."""
    settings = data / "kapok.toml"
    settings.write_text(settings.read_text().replace("# one_account", "one_account"))


def without_its_asset(path: Path, node_id: str) -> None:
    """Damage that one node's reports alone will meet: its asset is gone."""
    query(path, "SELECT 1")
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute(
            "UPDATE installations SET asset_id = 4711 WHERE open_for = ?", (node_id,)
        )


def kinds(outcomes: list[Outcome]) -> list[str]:
    """What became of each message."""
    return [outcome.kind for outcome in outcomes]
