"""What terminals of other makers send: one value of a time, conflicts, strangers, links."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "uq_readings_legacy",
        "readings",
        ["terminal_id", "time_us", "quantity", "asset_id"],
        unique=True,
        sqlite_where=sa.text("terminal_id >= 'g'"),
        postgresql_where=sa.text("terminal_id >= 'g'"),
    )
    op.create_table(
        "legacy_conflicts",
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("quality", sa.SmallInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_legacy_conflicts_asset_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_legacy_conflicts_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint(
            "terminal_id",
            "asset_id",
            "quantity",
            "time_us",
            "value",
            name=op.f("pk_legacy_conflicts"),
        ),
    )
    op.create_table(
        "legacy_strangers",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=40), nullable=False),
        sa.Column("meter", sa.String(length=14), nullable=False),
        sa.Column("why", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("kept", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "address", "meter", name=op.f("pk_legacy_strangers")),
    )
    op.create_table(
        "legacy_kept",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=40), nullable=False),
        sa.Column("meter", sa.String(length=14), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("hold", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legacy_kept")),
        sa.UniqueConstraint("digest", name=op.f("uq_legacy_kept_digest")),
    )
    op.create_index(
        "ix_legacy_kept_source", "legacy_kept", ["kind", "address", "meter"], unique=False
    )
    op.create_table(
        "legacy_links",
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False),
        sa.Column("allowed", sa.String(length=16), nullable=False),
        sa.Column("used", sa.String(length=16), nullable=False),
        sa.Column("used_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["terminal_id"], ["terminals.id"], name=op.f("fk_legacy_links_terminal_id_terminals")
        ),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_legacy_links")),
    )
    op.create_table(
        "legacy_unmapped",
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=40), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_legacy_unmapped_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("terminal_id", "key", name=op.f("pk_legacy_unmapped")),
    )


def downgrade() -> None:
    op.drop_table("legacy_unmapped")
    op.drop_table("legacy_links")
    op.drop_table("legacy_kept")
    op.drop_table("legacy_strangers")
    op.drop_table("legacy_conflicts")
    op.drop_index("uq_readings_legacy", table_name="readings")
