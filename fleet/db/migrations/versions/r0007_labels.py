"""What labels and installations need: IMEI and ICCID of nodes, places of assets, field acts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PLACE = (
    ("latitude_e7", sa.Integer()),
    ("longitude_e7", sa.Integer()),
    ("photo", sa.String(length=500)),
    ("photo_sha256", sa.String(length=64)),
    ("address", sa.String(length=200)),
)


def upgrade() -> None:
    with op.batch_alter_table("terminals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("imei", sa.String(length=15), nullable=True))
        batch_op.add_column(sa.Column("iccid", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("labelled_us", sa.BigInteger(), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_terminals_imei"), ["imei"])
        batch_op.create_unique_constraint(op.f("uq_terminals_iccid"), ["iccid"])

    with op.batch_alter_table("assets", schema=None) as batch_op:
        for name, kind in _PLACE:
            batch_op.add_column(sa.Column(name, kind, nullable=True))
        batch_op.create_index(batch_op.f("ix_assets_name"), ["name"], unique=False)

    op.create_table(
        "field_acts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("taken_us", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_acts")),
    )


def downgrade() -> None:
    op.drop_table("field_acts")
    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_assets_name"))
        for name, _kind in _PLACE:
            batch_op.drop_column(name)

    with op.batch_alter_table("terminals", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_terminals_iccid"), type_="unique")
        batch_op.drop_constraint(op.f("uq_terminals_imei"), type_="unique")
        batch_op.drop_column("labelled_us")
        batch_op.drop_column("iccid")
        batch_op.drop_column("imei")
