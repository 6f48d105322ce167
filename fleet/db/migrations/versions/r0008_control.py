"""Commands and their deliveries, groups, desired configuration, results of items."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LAYER = (("kind", 5), ("name", 40), ("role", 16))


def _layer() -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String(length=size), nullable=False) for name, size in _LAYER]


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.SmallInteger(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("valve", sa.Boolean(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_account", sa.String(length=64), nullable=False),
        sa.Column("asked_us", sa.BigInteger(), nullable=False),
        sa.Column("lives_us", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_account", sa.String(length=64), nullable=True),
        sa.Column("approved_us", sa.BigInteger(), nullable=True),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_by", sa.String(length=64), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("unreleased", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_commands_due", "commands", ["due_us"])
    op.create_index(
        "ix_commands_unreleased",
        "commands",
        ["id"],
        sqlite_where=sa.text("unreleased > 0"),
        postgresql_where=sa.text("unreleased > 0"),
    )
    op.create_table(
        "deliveries",
        sa.Column("command_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("why", sa.String(length=20), nullable=False),
        sa.Column("valve", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("released_us", sa.BigInteger(), nullable=True),
        sa.Column("delivered_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.SmallInteger(), nullable=True),
        sa.Column("detail", sa.BigInteger(), nullable=True),
        sa.Column("trust", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["command_id"], ["commands.id"], name=op.f("fk_deliveries_command_id_commands")
        ),
        sa.PrimaryKeyConstraint("command_id", "node_id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("node_id", "number", name=op.f("uq_deliveries_node_id")),
    )
    op.create_index("ix_deliveries_node", "deliveries", ["node_id", "command_id"])
    op.create_index("ix_deliveries_released", "deliveries", ["valve", "released_us"])
    op.create_index(
        "ix_deliveries_unreleased",
        "deliveries",
        ["command_id", "node_id"],
        sqlite_where=sa.text("released_us IS NULL AND state = 'queued'"),
        postgresql_where=sa.text("released_us IS NULL AND state = 'queued'"),
    )
    _desired()
    op.create_index("ix_terminals_area_id", "terminals", ["area_code", "id"])
    with op.batch_alter_table("downlinks", schema=None) as batch_op:
        batch_op.add_column(sa.Column("told", sa.Text(), nullable=True))
    op.add_column(
        "downlink_progress", sa.Column("base", sa.Integer(), nullable=False, server_default="0")
    )


def _desired() -> None:
    op.create_table(
        "node_groups",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node_groups")),
    )
    op.create_table(
        "group_members",
        sa.Column("group_name", sa.String(length=40), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_name"], ["node_groups.name"],
            name=op.f("fk_group_members_group_name_node_groups"),
        ),
        sa.ForeignKeyConstraint(
            ["node_id"], ["terminals.id"], name=op.f("fk_group_members_node_id_terminals")
        ),
        sa.PrimaryKeyConstraint("group_name", "node_id", name=op.f("pk_group_members")),
    )  # fmt: skip
    op.create_index(op.f("ix_group_members_node_id"), "group_members", ["node_id"])
    op.create_table(
        "desired_layers",
        *_layer(),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "role", name=op.f("pk_desired_layers")),
    )
    op.create_table(
        "desired_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        *_layer(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("patch", sa.Text(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desired_changes")),
    )
    op.create_index("ix_desired_changes_layer", "desired_changes", ["kind", "name", "role"])
    op.create_table(
        "desired_work",
        sa.Column("id", sa.Integer(), nullable=False),
        *_layer(),
        sa.Column("after", sa.String(length=10), nullable=False),
        sa.Column("after_area", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desired_work")),
    )
    op.create_table(
        "desired_nodes",
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.Column("waiting", sa.Text(), nullable=False),
        sa.Column("drifting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_desired_nodes")),
    )
    op.create_index(
        "ix_desired_nodes_drifting",
        "desired_nodes",
        ["node_id"],
        sqlite_where=sa.text("drifting"),
        postgresql_where=sa.text("drifting"),
    )


def downgrade() -> None:
    op.drop_index("ix_terminals_area_id", "terminals")
    with op.batch_alter_table("downlink_progress", schema=None) as batch_op:
        batch_op.drop_column("base")
    with op.batch_alter_table("downlinks", schema=None) as batch_op:
        batch_op.drop_column("told")
    for table in (
        "desired_nodes", "desired_work", "desired_changes", "desired_layers", "group_members",
        "node_groups", "deliveries", "commands",
    ):  # fmt: skip
        op.drop_table(table)
