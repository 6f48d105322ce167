"""Alembic's environment: runs the migrations on the URL that fleet.db.migrate gives."""

from alembic import context

from fleet.db.base import Database
from fleet.db.models import Base

database = Database(context.config.attributes["url"])
with database.engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite alters tables by copying them
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
database.close()
