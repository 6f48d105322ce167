"""One declarative base for all tables; an engine with the durability that receipts promise."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from sqlalchemy import URL, MetaData, create_engine, exc
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from fleet.db import sqlite


class Base(DeclarativeBase):
    """Base of every table; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def is_trouble(error: Exception) -> bool:
    """Whether an error is the database's own, and not of what was to be written: it may be gone
    when the whole transaction is tried again.
    """
    own = isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | DataError)
    # SQLAlchemy's TimeoutError: no connection of the pool, or no turn to write, came free.
    return own or isinstance(error, sqlite.DatabaseGone | exc.TimeoutError | OSError | MemoryError)


def reason_of(error: SQLAlchemyError) -> str:
    """What the database said, in one line.

    SQLite with a full disk ends the transaction, and with it the savepoint that is gone back to
    then: what was said first is the reason.
    """
    said = error
    while isinstance(said.__context__, SQLAlchemyError) and "no such savepoint" in str(said):
        said = said.__context__
    return str(getattr(said, "orig", None) or said).splitlines()[0]


class Database:
    """Sessions on one database URL, each one transaction."""

    def __init__(self, url: str | URL) -> None:
        self.engine = create_engine(url)
        self._turn: AbstractContextManager[object] = nullcontext()
        if self.engine.dialect.name == "sqlite":
            sqlite.prepare(self.engine)
            self._turn = sqlite.Turn()
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A session whose transaction commits at the end, or rolls back on an exception."""
        with self._turn, self._sessions.begin() as session:
            session.connection(execution_options={"writes": True})
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that never commits; what it read stays readable after its end."""
        with self._sessions() as session:
            yield session

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()
