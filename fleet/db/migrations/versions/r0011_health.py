"""What nodes say of their own health: crashes, and the log entries that were pulled."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "crashes",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("traceback", sa.BigInteger(), nullable=False),
        sa.Column("module", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("heap", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "epoch", "sequence", name=op.f("pk_crashes")),
    )
    op.create_index("ix_crashes_node_id_at_us", "crashes", ["node_id", "at_us"])
    op.create_index("ix_crashes_traceback", "crashes", ["traceback"])
    op.create_table(
        "node_log",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Integer(), nullable=False),
        sa.Column("argument", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "epoch", "sequence", name=op.f("pk_node_log")),
    )
    op.create_index("ix_node_log_node_id_at_us", "node_log", ["node_id", "at_us"])


def downgrade() -> None:
    op.drop_table("node_log")
    op.drop_table("crashes")
