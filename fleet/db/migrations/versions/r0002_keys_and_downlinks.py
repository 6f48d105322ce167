"""OSCORE contexts, and the downlink queue."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "oscore_contexts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("kid", sa.LargeBinary(length=3), nullable=True),
        sa.Column("secret", sa.LargeBinary(length=64), nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("current_for", sa.String(length=10), nullable=True),
        sa.Column("next_for", sa.String(length=10), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("own_numbers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oscore_contexts")),
        sa.UniqueConstraint("current_for", name=op.f("uq_oscore_contexts_current_for")),
        sa.UniqueConstraint("kid", name=op.f("uq_oscore_contexts_kid")),
        sa.UniqueConstraint("next_for", name=op.f("uq_oscore_contexts_next_for")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("oscore_contexts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_oscore_contexts_node_id"), ["node_id"], unique=False)

    op.create_table(
        "downlinks",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("handed_us", sa.BigInteger(), nullable=True),
        sa.Column("settled_us", sa.BigInteger(), nullable=True),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "number", name=op.f("pk_downlinks")),
    )
    with op.batch_alter_table("downlinks", schema=None) as batch_op:
        batch_op.create_index(
            "ix_downlinks_open",
            ["node_id", "number"],
            unique=False,
            sqlite_where=sa.text("settled_us IS NULL"),
            postgresql_where=sa.text("settled_us IS NULL"),
        )

    op.create_table(
        "downlink_progress",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("handled", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_downlink_progress")),
    )


def downgrade() -> None:
    op.drop_table("downlink_progress")
    with op.batch_alter_table("downlinks", schema=None) as batch_op:
        batch_op.drop_index("ix_downlinks_open")

    op.drop_table("downlinks")
    with op.batch_alter_table("oscore_contexts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_oscore_contexts_node_id"))

    op.drop_table("oscore_contexts")
