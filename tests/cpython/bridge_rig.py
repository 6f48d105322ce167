"""A utility's master station for tests of bridges: its truth, its database, and our fleet."""

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import migration_rig
from sqlalchemy import create_engine, event, select, text

from fleet.bridge import cursors, mapping, opening
from fleet.bridge.mapping import Mapped
from fleet.bridge.pump import Pump
from fleet.bridge.rows import Batch, Row
from fleet.db.base import Database
from fleet.registry.tables import Asset
from fleet.telemetry.tables import Reading

NOW_S = 1_764_500_000
MAP = """
[map]
terminal = "meter"
time = "at"
[[map.values]]
column = "volume"
quantity = "gas_volume"
"""


def open_fleet(folder: Path, meters: int = 5) -> Database:
    """A fleet with meters T1, T2 and so on at assets M1, M2; what it commits is not synced."""
    shutil.copy(_made(meters), folder / "kapok.db")
    database = Database(f"sqlite:///{folder / 'kapok.db'}")
    event.listen(database.engine, "connect", _hasty)
    return database


@functools.cache
def _made(meters: int) -> Path:
    """A fleet to be copied: a hundred tables take longer to make than a test to run."""
    folder = Path(tempfile.mkdtemp(prefix="kapok-fleet-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with contextlib.closing(migration_rig.open_city(folder)) as made:
        migration_rig.bring(made, folder, [migration_rig.line(n) for n in range(1, meters + 1)])
        with made.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder / "kapok.db"


def _hasty(connection: Any, _record: object) -> None:
    # What is tested here is what is committed, and not that the disk has it.
    connection.execute("PRAGMA synchronous=OFF")


class Station:
    """A master station's database with a table `reads`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "station.db"
        self.engine = create_engine(f"sqlite:///{self.path}")
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "CREATE TABLE reads (id INTEGER, meter TEXT, at TEXT, volume DECIMAL(12, 3), "
                    "flag TEXT)"
                )
            )

    def add(self, *rows: tuple[int, str, int, str]) -> None:
        """Rows as (id, meter, minute, volume)."""
        with self.engine.begin() as connection:
            for number, meter, minute, volume in rows:
                connection.execute(
                    text("INSERT INTO reads VALUES (:id, :meter, :at, :volume, 'ok')"),
                    {"id": number, "meter": meter, "at": at(minute), "volume": volume},
                )

    def close(self) -> None:
        self.engine.dispose()


def at(minute: int) -> str:
    """A time of a row, in China's zone, which it does not name."""
    from datetime import UTC, datetime, timedelta

    when = datetime.fromtimestamp(NOW_S, UTC) + timedelta(minutes=minute, hours=8)
    return when.strftime("%Y-%m-%d %H:%M:%S")


def us(minute: int) -> int:
    """The same in us UTC."""
    return (NOW_S + 60 * minute) * 1_000_000


def write(folder: Path, source: str, rules: str = MAP, name: str = "scada") -> Mapped:
    """A mapping file, read."""
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\n[source]\n{source}\n{rules}', encoding="utf-8")
    return mapping.read(path)


def table(station: Station, more: str = "") -> str:
    """[source] of a station's table."""
    url = f"sqlite:///{station.path}"
    return f'kind = "database"\nurl = "{url}"\ntable = "reads"\ncursor = "id"\n{more}'


@contextlib.contextmanager
def pump(database: Database, folder: Path, mapped: Mapped) -> Iterator[Pump]:
    """As a run of the bridge begins."""
    with database.begin() as session:
        cursors.open_source(session, mapped.name, mapped.kind)
    with contextlib.closing(opening.source(mapped)) as source:
        letters = opening.letters(folder, mapped.name)
        yield Pump(database, mapped.name, mapped.rules, source, letters)


def stored(database: Database) -> list[tuple[str, int, int]]:
    """(asset, time in us, value) of all readings, ordered."""
    with database.read() as session:
        rows = session.execute(
            select(Asset.name, Reading.time_us, Reading.value).join(
                Asset, Asset.id == Reading.asset_id
            )
        )
        return sorted((name, time_us, value) for name, time_us, value in rows)


def letters(folder: Path, name: str = "scada") -> list[dict[str, Any]]:
    """Lines of the dead letters' file."""
    path = folder / "bridge" / f"{name}.dead.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Listed:
    """A source that gives rows of a list, so many at a time; its cursor is their number."""

    def __init__(self, rows: Sequence[Mapping[str, str]], batch: int = 10) -> None:
        self.rows, self.batch = rows, batch
        self.settled_at: list[str] = []

    def read(self, cursor: str) -> Batch:
        start = int(cursor or 0)
        part = self.rows[start : start + self.batch]
        end = start + len(part)
        made = [Row(f"row {start + n}", cells) for n, cells in enumerate(part)]
        return Batch(made, [], str(end), end >= len(self.rows))

    def settled(self, batch: Batch) -> None:
        self.settled_at.append(batch.cursor)

    def close(self) -> None:
        return
