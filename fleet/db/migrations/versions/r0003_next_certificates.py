"""The certificate that a node is to change to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.add_column(sa.Column("next_for", sa.String(length=10), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_certificates_next_for"), ["next_for"])


def downgrade() -> None:
    with op.batch_alter_table("certificates", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_certificates_next_for"), type_="unique")
        batch_op.drop_column("next_for")
