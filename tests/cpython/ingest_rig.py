"""A fleet's database with two nodes in it, reports for it, and what it holds, by plain SQL."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from schema import new_file

from fleet.db.base import Database
from fleet.registry import operations as registry
from fleet.uplink.message import Message
from fleet.wire import nodeid, quantity, report

AREA = "440106"
NOW = 1_795_411_856  # s since 1970: 2026-11-23
NODE, OTHER = "1gntj14d2p", "1gntj14d2q"


def open_database(folder: Path) -> Database:
    """A new database with every table, an area, and NODE and OTHER as drainage nodes."""
    new_file(folder / "kapok.db")
    database = Database(f"sqlite:///{folder / 'kapok.db'}")
    with database.begin() as session:
        registry.add_area(session, AREA, "Tianhe")
    add_nodes(database, (NODE, OTHER))
    return database


def add_nodes(database: Database, node_ids: Iterable[str]) -> None:
    """Register drainage nodes."""
    with database.begin() as session:
        for node_id in node_ids:
            registry.add_node(session, node_id, "drainage", AREA)


def node_ids(count: int, first: int = 0x30AEA4200000) -> list[str]:
    """Some node ids, one after the other."""
    return [nodeid.from_mac((first + n).to_bytes(6, "big")) for n in range(count)]


def value_of(sequence: int) -> int:
    """The level that `report_of` puts into a record: it tells the record."""
    return 100_000 + sequence


def report_of(
    sequences: Iterable[int],
    epoch: int = 7,
    *,
    time: int = NOW,
    status: dict[int, int] | None = None,
) -> bytes:
    """A report with one level for each sequence number."""
    bodies = [
        (n, report.encode_body(time, report.GOOD, [(quantity.LEVEL, value_of(n))]))
        for n in sequences
    ]
    return report.encode(epoch, time, bodies, status or {})


def message(payload: bytes, node_id: str = NODE, received: int = NOW) -> Message:
    """`payload` as it comes from a broker, `received` in s since 1970."""
    return Message(node_id, payload, received * 1_000_000)


def stored(folder: Path) -> list[tuple[str, int]]:
    """(node id, sequence) of every reading in the file: not by the fleet's code."""
    with closing(sqlite3.connect(f"file:{folder / 'kapok.db'}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT terminal_id, value FROM readings").fetchall()
    return sorted((node_id, value - value_of(0)) for node_id, value in rows)


def once(node_id: str, sequences: Iterable[int]) -> list[tuple[str, int]]:
    """What `stored` gives when each sequence is there exactly once."""
    return sorted((node_id, n) for n in set(sequences))
