"""Migrations on PostgreSQL: the schema's way there, its guards, and a small town that moves."""

from collections.abc import Iterator
from pathlib import Path

import postgres_rig
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleet.db.base import Database
from fleet.db.migrate import config
from fleet.migration import guards
from tests.bench import migration

pytestmark = pytest.mark.skipif(bool(postgres_rig.missing()), reason=postgres_rig.missing() or "-")


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_rig.server() as made:
        command.upgrade(config(made), "head")
        yield made


def test_a_small_town_moves_on_postgresql(url: str, tmp_path: Path) -> None:
    result = migration.run(tmp_path, 16, kills=2, rollbacks=2, url=url)
    told = migration.tell(result)
    assert result.is_well, told
    assert result.kills == 2
    assert result.rehearsed.verdict.lines > 10, told
    database = Database(url)
    try:
        for statement in (
            "UPDATE bill_lines SET to_index = to_index + 1",
            "DELETE FROM bill_lines",
            "UPDATE evidence SET body = '{}'",
            "DELETE FROM evidence",
            "DELETE FROM register_segments",
            "UPDATE register_segments SET base_index = base_index + 1",
        ):
            with (
                pytest.raises(DBAPIError, match=r"on record|only ended|is billed"),
                database.begin() as own,
            ):
                own.execute(text(statement))
        with database.read() as session:
            names = set(
                session.scalars(text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"))
            )
        assert set(guards.names()) <= names
    finally:
        database.close()
