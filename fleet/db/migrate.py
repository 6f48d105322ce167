"""Alembic, driven from the program: the way to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import URL
from sqlalchemy.exc import DatabaseError

from fleet.db.base import Database
from fleet.db.revision import current, newest
from fleet.settings import Settings, SettingsError

MIGRATIONS = Path(__file__).with_name("migrations")


def config(url: str | URL) -> Config:
    """Alembic's configuration for a database, without a file of its own."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.attributes["url"] = url  # what env.py opens
    return made


def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Bring the schema up to date; the revisions before and after."""
    database = Database(settings.database_url)
    try:
        before = current(database)
    finally:
        database.close()
    try:
        command.upgrade(config(settings.database_url), "head")
    except (CommandError, DatabaseError) as e:
        reason = str(e).splitlines()[0]
        raise SettingsError(f"the database cannot be brought up to date: {reason}") from None
    return before, newest()
