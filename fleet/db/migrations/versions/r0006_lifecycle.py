"""Alarms, spare keys of nodes, and what tells a clone."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("open_key", sa.String(length=100), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
        sa.Column("cleared_us", sa.BigInteger(), nullable=True),
        sa.Column("cleared_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("open_key", name=op.f("uq_alarms_open_key")),
    )
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarms_subject"), ["subject"], unique=False)

    op.create_table(
        "spare_requests",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=False),
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("stored_us", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=True),
        sa.Column("downlink", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_spare_requests")),
    )
    with op.batch_alter_table("spare_requests", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_spare_requests_key_digest"), ["key_digest"], unique=False
        )

    op.create_table(
        "epoch_watches",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("earlier", sa.LargeBinary(), nullable=False),
        sa.Column("returns", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_epoch_watches")),
    )
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_certificates_not_after_us"), ["not_after_us"], unique=False
        )
    for table in ("stored_sequences", "oscore_contexts"):
        op.add_column(table, sa.Column("digests", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for table in ("oscore_contexts", "stored_sequences"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("digests")

    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_certificates_not_after_us"))

    op.drop_table("epoch_watches")
    with op.batch_alter_table("spare_requests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_spare_requests_key_digest"))

    op.drop_table("spare_requests")
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alarms_subject"))

    op.drop_table("alarms")
