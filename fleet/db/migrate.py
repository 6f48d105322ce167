"""Alembic, driven from the program: the schema's revision, and the way to the newest."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.exc import DatabaseError

from fleet.db.base import Database
from fleet.settings import Settings, SettingsError

MIGRATIONS = Path(__file__).with_name("migrations")


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def newest() -> str:
    """The revision that this program needs."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if head is None:
        raise SettingsError("the program has no migrations: install it again")
    return head


def current(database: Database) -> str | None:
    """The revision of the database, None when it is empty."""
    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DatabaseError as e:
        raise SettingsError(f"the database cannot be read: {e.orig}") from None


def check(database: Database) -> None:
    """SettingsError unless the schema is the one that this program needs."""
    found = current(database)
    if found == newest():
        return
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if found is not None and found not in known:
        raise SettingsError(f"the database (revision {found}) is of a newer Kapok: upgrade Kapok")
    raise SettingsError(f"the database is at revision {found}, not {newest()}: kapok init")


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Bring the schema up to date; the revisions before and after."""
    database = Database(settings.database_url)
    try:
        before = current(database)
    finally:
        database.close()
    try:
        command.upgrade(_config(settings.database_url), "head")
    except (CommandError, DatabaseError) as e:
        reason = str(e).splitlines()[0]
        raise SettingsError(f"the database cannot be brought up to date: {reason}") from None
    return before, newest()
