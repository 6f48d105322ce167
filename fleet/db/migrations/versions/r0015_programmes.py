"""Programmes of a migration, their items, and the ledger that their bills go on in."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "migration_programmes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=12), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("planned_us", sa.BigInteger(), nullable=True),
        sa.Column("waved_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_programmes")),
        sa.UniqueConstraint("name", name=op.f("uq_migration_programmes_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "migration_items",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("old_terminal_id", sa.String(length=10), nullable=False),
        sa.Column("new_terminal_id", sa.String(length=10), nullable=True),
        sa.Column("bearer", sa.String(length=16), nullable=False),
        sa.Column("because", sa.String(length=200), nullable=False),
        sa.Column("path", sa.String(length=24), nullable=False),
        sa.Column("wave", sa.SmallInteger(), nullable=True),
        sa.Column("due_day", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("deadline_us", sa.BigInteger(), nullable=True),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("open_for", sa.String(length=10), nullable=True),
        sa.ForeignKeyConstraint(
            ["programme_id"],
            ["migration_programmes.id"],
            name=op.f("fk_migration_items_programme_id_migration_programmes"),
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_migration_items_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["old_terminal_id"],
            ["terminals.id"],
            name=op.f("fk_migration_items_old_terminal_id_terminals"),
        ),
        sa.ForeignKeyConstraint(
            ["new_terminal_id"],
            ["terminals.id"],
            name=op.f("fk_migration_items_new_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration_items")),
        sa.UniqueConstraint(
            "programme_id", "old_terminal_id", name=op.f("uq_migration_items_programme_id")
        ),
        sa.UniqueConstraint("open_for", name=op.f("uq_migration_items_open_for")),
    )
    op.create_index("ix_migration_items_asset_id", "migration_items", ["asset_id"])
    op.create_index("ix_migration_items_old_terminal_id", "migration_items", ["old_terminal_id"])
    op.create_index("ix_migration_items_new_terminal_id", "migration_items", ["new_terminal_id"])
    op.create_index("ix_migration_items_wave", "migration_items", ["programme_id", "wave"])
    op.create_index("ix_migration_items_state", "migration_items", ["programme_id", "state"])


def downgrade() -> None:
    op.drop_table("migration_items")
    op.drop_table("migration_programmes")
