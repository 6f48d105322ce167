"""Sub-devices of gateways, and what searches of their lines found."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sub_devices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("gateway_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=14), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.Column("open_for", sa.String(length=20), nullable=True),
        sa.Column("register_offset", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["assets.id"], name=op.f("fk_sub_devices_gateway_id_assets")
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_sub_devices_asset_id_assets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sub_devices")),
        sa.UniqueConstraint("open_for", name=op.f("uq_sub_devices_open_for")),
    )
    op.create_index("ix_sub_devices_gateway", "sub_devices", ["gateway_id", "number", "from_us"])
    op.create_index(op.f("ix_sub_devices_asset_id"), "sub_devices", ["asset_id"])
    op.create_table(
        "found_devices",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("protocol", sa.SmallInteger(), nullable=False),
        sa.Column("address", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("baud", sa.Integer(), nullable=False),
        sa.Column("meter_type", sa.SmallInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["terminals.id"], name=op.f("fk_found_devices_node_id_terminals")
        ),
        sa.PrimaryKeyConstraint("node_id", "protocol", "address", name=op.f("pk_found_devices")),
    )


def downgrade() -> None:
    op.drop_table("found_devices")
    op.drop_index(op.f("ix_sub_devices_asset_id"), table_name="sub_devices")
    op.drop_index("ix_sub_devices_gateway", table_name="sub_devices")
    op.drop_table("sub_devices")
