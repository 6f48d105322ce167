"""What nodes run, and which updates they were assigned."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "running",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("image", sa.BigInteger(), nullable=False),
        sa.Column("runtime", sa.Integer(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_running")),
    )
    op.create_index("ix_running_sequence", "running", ["sequence"])
    op.create_index("ix_running_since", "running", ["since_us"])
    op.create_table(
        "assigned",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("update_id", sa.Integer(), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_us", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.SmallInteger(), nullable=True),
        sa.Column("detail", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("forged", sa.SmallInteger(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", "number", name=op.f("pk_assigned")),
    )
    op.create_index("ix_assigned_update", "assigned", ["update_id"])
    op.create_table(
        "packed",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_packed")),
    )


def downgrade() -> None:
    op.drop_table("packed")
    op.drop_table("assigned")
    op.drop_table("running")
