"""The schema's revision: what the database has, and what this program needs.

Alembic takes a quarter of a second to import, so it is asked only where the schema changes.
"""

from sqlalchemy import inspect, text
from sqlalchemy.exc import DatabaseError

from fleet.db.base import Database
from fleet.settings import SettingsError

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
)  # of fleet/db/migrations/versions, oldest first


def newest() -> str:
    """The revision that this program needs."""
    return REVISIONS[-1]


def current(database: Database) -> str | None:
    """The revision of the database, None when it is empty; SettingsError for one to come."""
    try:
        with database.read() as session:
            if not inspect(session.connection()).has_table("alembic_version"):
                return None
            found: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    except DatabaseError as e:
        where = database.engine.url.database
        raise SettingsError(f"the database {where} cannot be read: {e.orig}") from None
    if found is not None and found not in REVISIONS:
        raise SettingsError(f"the database (revision {found}) is of a newer Kapok: upgrade Kapok")
    return found


def check(database: Database) -> None:
    """SettingsError unless the schema is the one that this program needs."""
    found = current(database)
    if found is None:
        raise SettingsError(f"the database {database.engine.url.database} is empty: kapok init")
    if found != newest():
        raise SettingsError(f"the database is at revision {found}, not {newest()}: kapok init")
