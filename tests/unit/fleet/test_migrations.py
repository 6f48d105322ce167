"""The schema: migrations make what the models say, and refuse what they do not know."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import fleet_rig as rig
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from fleet.db import migrate, revision, sqlite
from fleet.db.base import Database
from fleet.db.models import Base
from fleet.settings import CONFIG, Settings, SettingsError, load


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a folder with settings and no database."""
    (tmp_path / CONFIG).write_text("")
    return load(tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Made by the migrations."""
    migrate.upgrade(settings)
    opened = Database(settings.database_url)
    yield opened
    opened.close()


def execute(settings: Settings, statement: str) -> None:
    """Change the file behind the program's back."""
    with contextlib.closing(sqlite3.connect(settings.data / "kapok.db")) as connection, connection:
        connection.execute(statement)


def check(settings: Settings) -> None:
    """As every command does before it works."""
    with contextlib.closing(Database(settings.database_url)) as database:
        revision.check(database)


def test_the_migrations_make_exactly_what_the_models_say(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_sabotage_a_model_without_its_migration_is_seen(database: Database) -> None:
    with database.begin() as session:
        session.connection().exec_driver_sql("DROP INDEX ix_readings_series")
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert [difference[0] for difference in differences] == ["add_index"]


def test_the_program_knows_its_migrations_without_alembic() -> None:
    scripts = ScriptDirectory(str(migrate.MIGRATIONS))
    assert [s.revision for s in scripts.walk_revisions()] == list(reversed(revision.REVISIONS))


def test_an_upgrade_tells_from_where_to_where_and_twice_is_once(settings: Settings) -> None:
    assert migrate.upgrade(settings) == (None, revision.newest())
    assert migrate.upgrade(settings) == (revision.newest(), revision.newest())
    check(settings)


def test_a_fleet_of_the_first_revision_keeps_what_it_has(settings: Settings) -> None:
    from alembic import command

    config = migrate.config(settings.database_url)
    command.upgrade(config, "0001")
    execute(settings, "INSERT INTO areas VALUES ('4401', 'Guangzhou')")
    with pytest.raises(SettingsError, match=r"revision 0001, not .*: kapok init"):
        check(settings)
    assert migrate.upgrade(settings) == ("0001", revision.newest())
    path = settings.data / "kapok.db"
    assert rig.query(path, "SELECT * FROM areas") == [("4401", "Guangzhou")]
    assert rig.query(path, "SELECT * FROM oscore_contexts") == []
    command.downgrade(config, "0001")
    assert not rig.query(path, "SELECT 1 FROM sqlite_master WHERE name LIKE '%downlink%'")
    assert rig.query(path, "SELECT * FROM areas") == [("4401", "Guangzhou")]


def test_a_context_identifier_is_never_given_again(database: Database) -> None:
    """A claim may name a context that is gone: it must not strike another one's numbers."""
    path = str(database.engine.url.database)
    ((statement,),) = rig.query(
        Path(path), "SELECT sql FROM sqlite_master WHERE name = 'oscore_contexts'"
    )
    assert "AUTOINCREMENT" in statement


def test_an_empty_database_names_the_command(settings: Settings) -> None:
    with contextlib.closing(Database(settings.database_url)) as database:
        assert revision.current(database) is None
        with pytest.raises(SettingsError, match="kapok init"):
            revision.check(database)


def test_a_newer_schema_is_refused_and_left_alone(settings: Settings) -> None:
    migrate.upgrade(settings)
    execute(settings, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SettingsError, match="newer Kapok") as refused:
        check(settings)
    assert "\n" not in str(refused.value)
    with pytest.raises(SettingsError, match="newer Kapok"):
        migrate.upgrade(settings)
    rows = rig.query(settings.data / "kapok.db", "SELECT version_num FROM alembic_version")
    assert rows == [("9999",)]


@pytest.mark.parametrize("damage", [b"this is no database\n" * 500, b"SQLite format 3\x00junk"])
def test_a_damaged_file_gives_one_line_and_is_left_alone(
    settings: Settings, damage: bytes
) -> None:
    path = settings.data / "kapok.db"
    path.write_bytes(damage)
    with pytest.raises(SettingsError, match="cannot be read") as refused:
        check(settings)
    assert "\n" not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        migrate.upgrade(settings)
    assert path.read_bytes() == damage


def test_a_migration_that_fails_leaves_nothing_behind(settings: Settings) -> None:
    """All of an upgrade is one transaction, though SQLite's driver would commit before DDL."""
    execute(settings, "CREATE TABLE terminals (x)")  # the migration makes others before this one
    with pytest.raises(SettingsError, match="already exists") as refused:
        migrate.upgrade(settings)
    assert "\n" not in str(refused.value)
    with contextlib.closing(Database(settings.database_url)) as database:
        assert inspect(database.engine).get_table_names() == ["terminals"]
    execute(settings, "DROP TABLE terminals")
    assert migrate.upgrade(settings) == (None, revision.newest())


def test_a_locked_database_gives_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MS", 20)
    migrate.upgrade(settings)
    execute(settings, "DROP TABLE alembic_version")
    elsewhere = rig.writer_elsewhere(settings.data / "kapok.db")
    with elsewhere, pytest.raises(SettingsError, match="locked"):
        migrate.upgrade(settings)


def test_every_connection_is_durable(database: Database) -> None:
    """A receipt promises what synchronous=FULL keeps."""
    with database.read() as session:
        connection = session.connection()

        def pragma(name: str) -> object:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == sqlite.BUSY_MS
