"""A table or a view of somebody's database, along columns that only grow.

Rows are committed there by others, and not in the order of their numbers: a transaction that drew
a number first may commit last. So each round begins a little behind the cursor; what was read
before is there already when it comes again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Column,
    MetaData,
    Numeric,
    Select,
    Table,
    and_,
    create_engine,
    func,
    or_,
    select,
)
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.types import NullType

from fleet.bridge.errors import BridgeError, SourceGone
from fleet.bridge.keys import Keys
from fleet.bridge.rows import MOST_CELLS, Batch, Row, text_of
from fleet.bridge.sources import cursor_values
from fleet.bridge.sources.cursor_values import Key

MOST_TIES = 50_000  # rows of one cursor value


class DatabaseSource:
    """`batch` rows at a time. Only ever reads."""

    def __init__(self, table: Keys, batch: int) -> None:
        self._url = _url(table)
        self._name, self._schema = table.text("table"), table.text("schema", "") or None
        self._columns = table.texts("cursor")
        if not 1 <= len(self._columns) <= 4:
            raise table.fault("cursor", "one column, or up to 4")
        self._overlap = table.whole("overlap", 0, 10**9) if "overlap" in table else None
        table.end()
        self._batch = batch
        self._engine: Engine | None = None
        self._table: Table | None = None
        self._at: Key | None = None  # in the middle of a round: behind this, which is taken in
        self._next: Key | None = None

    def read(self, cursor: str) -> Batch:
        """The next rows, all of each cursor value that it has any of."""
        kept = cursor_values.read(cursor, self._columns)
        try:
            rows, is_last = self._page(self._source(), kept)
        except SQLAlchemyError as e:
            raise SourceGone(f"{self._name}: {reason(e)}") from None
        keys = [self._key(row) for row in rows]
        self._next = None if is_last else keys[-1]
        made = [
            Row(
                f"{self._name} {', '.join(text_of(value) for value in key)}",
                {str(name): text_of(value) for name, value in list(row.items())[:MOST_CELLS]},
            )
            for row, key in zip(rows, keys, strict=True)
        ]
        if keys and (kept is None or self._is_ahead(keys[-1], kept)):
            cursor = cursor_values.written(keys[-1])
        return Batch(made, [], cursor, is_last)

    def settled(self, batch: Batch) -> None:
        """Go on behind it. Nothing is to be forgotten: the rows are theirs."""
        self._at = self._next

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()

    def columns(self) -> list[str]:
        """Names of all columns."""
        return [str(column.name) for column in self._source().columns]

    def unseen(self) -> int:
        """How many rows have no cursor, and are never read."""
        source = self._source()
        empty = or_(*(source.c[name].is_(None) for name in self._columns))
        with self._connected() as connection:
            count: int = connection.execute(
                select(func.count()).select_from(source).where(empty)
            ).scalar_one()
        return count

    def _page(self, source: Table, kept: Key | None) -> tuple[Sequence[Any], bool]:
        columns = [source.c[name] for name in self._columns]
        query = select(source).order_by(*columns)
        for column in columns:
            query = query.where(column.is_not(None))
        if self._at is not None:
            query = query.where(_behind(columns, self._at))
        elif kept is not None:
            overlap = cursor_values.usual(kept[0]) if self._overlap is None else self._overlap
            if overlap and not isinstance(kept[0], str):
                query = query.where(columns[0] >= cursor_values.behind(kept[0], overlap))
            else:
                query = query.where(_behind(columns, kept))
        rows = self._fetched(query, self._batch + 1)
        if len(rows) <= self._batch:
            return rows, True
        # More is there. A value that goes on behind this page is left for the next one whole.
        edge = self._key(rows[-1])
        whole = [row for row in rows if self._key(row) != edge]
        if whole:
            return whole, False
        same = and_(*(column == value for column, value in zip(columns, edge, strict=True)))
        rows = self._fetched(select(source).where(same), MOST_TIES + 1)
        if len(rows) > MOST_TIES:
            raise BridgeError(
                f"{self._name}: over {MOST_TIES} rows of one {', '.join(self._columns)}: add a "
                "column that tells them apart to `cursor`"
            )
        return rows, False

    def _fetched(self, query: Select[Any], most: int) -> Sequence[Any]:
        with self._connected() as connection:
            rows: Sequence[Any] = connection.execute(query.limit(most)).mappings().all()
        return rows

    def _key(self, row: Any) -> Key:
        return tuple(row[name] for name in self._columns)

    def _is_ahead(self, key: Key, kept: Key) -> bool:
        if isinstance(key[0], str):
            return True  # ordered by their database; nothing behind the cursor is read
        return bool(key > kept)

    def _connected(self) -> Any:
        assert self._engine is not None  # noqa: S101
        return self._engine.connect()

    def _source(self) -> Table:
        if self._table is None:
            if self._engine is None:
                self._engine = _engine(self._url)
            try:
                found = Table(
                    self._name, MetaData(), schema=self._schema, autoload_with=self._engine
                )
            except NoSuchTableError:
                raise BridgeError(f"there is no table or view {self._name[:60]!r} there") from None
            except SQLAlchemyError as e:
                raise SourceGone(f"{self._name}: {reason(e)}") from None
            if self._engine.dialect.name == "sqlite":
                for column in found.columns:
                    if isinstance(column.type, Numeric):
                        column.type = NullType()  # a double there: its own shortest text is exact
            for name in self._columns:
                if name not in found.c:
                    there = ", ".join(str(column.name) for column in found.columns)[:200]
                    raise BridgeError(f"{self._name} has no column {name[:40]!r}; it has {there}")
            self._table = found
        return self._table


def _behind(columns: Sequence[Column[Any]], key: Key) -> Any:
    """Greater than the key, column by column: not every database compares tuples."""
    parts = []
    for place, column in enumerate(columns):
        same = [columns[before] == key[before] for before in range(place)]
        parts.append(and_(*same, column > key[place]))
    return or_(*parts)


def _url(table: Keys) -> URL:
    text = table.secret("url")
    if not text:
        raise table.fault("url", "such as postgresql+psycopg://user@host/name, or url_file")
    try:
        return make_url(text)
    except (ArgumentError, ValueError):  # its text may have a password in it
        raise table.fault("url", "no URL of a database, such as sqlite:////srv/old.db") from None


def _engine(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as e:
        raise BridgeError(f"{url.drivername} needs the Python package of {e.name}") from None
    except (NoSuchModuleError, ArgumentError):
        raise BridgeError(f"no database is called {url.drivername[:40]!r}") from None


def reason(error: SQLAlchemyError) -> str:
    """One line of what a database said, without its statement."""
    text = str(getattr(error, "orig", None) or error)
    return (text.splitlines() or [type(error).__name__])[0][:200]
