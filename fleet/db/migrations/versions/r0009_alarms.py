"""Alarms: severity, whom they are about, acts, maintenance, rules, channels and their outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NEW = (
    ("began_us", sa.BigInteger()),
    ("ended_us", sa.BigInteger()),
    ("node_id", sa.String(length=10)),
    ("asset_id", sa.Integer()),
    ("area_code", sa.String(length=12)),
    ("assigned_us", sa.BigInteger()),
    ("assigned_to", sa.String(length=64)),
    ("parent_id", sa.Integer()),
    ("maintenance_id", sa.Integer()),
)
_INDEXED = ("node_id", "asset_id", "parent_id", "maintenance_id")


def upgrade() -> None:
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("severity", sa.String(length=8), nullable=False, server_default="warning")
        )
        batch_op.add_column(
            sa.Column("escalated", sa.Integer(), nullable=False, server_default="0")
        )
        for name, kind in _NEW:
            batch_op.add_column(sa.Column(name, kind, nullable=True))
        for name in _INDEXED:
            batch_op.create_index(batch_op.f(f"ix_alarms_{name}"), [name], unique=False)
        batch_op.create_index(
            "ix_alarms_area",
            ["area_code", "kind"],
            unique=False,
            sqlite_where=sa.text("open_key IS NOT NULL"),
            postgresql_where=sa.text("open_key IS NOT NULL"),
        )
    op.execute(
        "UPDATE alarms SET severity = 'critical' WHERE kind IN ('clone', 'crl', 'broker-reload')"
    )
    op.execute("UPDATE alarms SET node_id = subject WHERE kind IN ('clone', 'rotation')")

    op.create_table(
        "alarm_acts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alarm_id", sa.Integer(), nullable=False),
        sa.Column("time_us", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("act", sa.String(length=16), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarms.id"], name=op.f("fk_alarm_acts_alarm_id_alarms")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_acts")),
    )
    op.create_table(
        "alarm_maintenances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=8), nullable=False),
        sa.Column("target", sa.String(length=12), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_maintenances")),
    )
    op.create_table(
        "alarm_packs",
        sa.Column("name", sa.String(length=12), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarm_packs")),
    )
    op.create_table(
        "alarm_watches",
        sa.Column("asset_id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("asset_id", "rule", name=op.f("pk_alarm_watches")),
    )
    op.create_table(
        "alarm_channels",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("target", sa.String(length=500), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("severity", sa.String(length=8), nullable=False),
        sa.Column("area_code", sa.String(length=12), nullable=False),
        sa.Column("after_s", sa.Integer(), nullable=False),
        sa.Column("until", sa.String(length=12), nullable=False),
        sa.Column("lang", sa.String(length=2), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_us", sa.BigInteger(), nullable=True),
        sa.Column("retry_us", sa.BigInteger(), nullable=False),
        sa.Column("added_us", sa.BigInteger(), nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alarm_channels")),
    )
    op.create_table(
        "alarm_messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("alarm_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("done_us", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarms.id"], name=op.f("fk_alarm_messages_alarm_id_alarms")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_messages")),
    )
    op.create_index(op.f("ix_alarm_acts_alarm_id"), "alarm_acts", ["alarm_id"])
    op.create_index(op.f("ix_alarm_maintenances_ended_us"), "alarm_maintenances", ["ended_us"])
    op.create_index(op.f("ix_alarm_watches_due_us"), "alarm_watches", ["due_us"])
    op.create_index(op.f("ix_alarm_messages_alarm_id"), "alarm_messages", ["alarm_id"])
    op.create_index("ix_alarm_messages_due", "alarm_messages", ["state", "channel", "due_us"])
    op.create_index("ix_alarm_messages_done", "alarm_messages", ["state", "done_us"])


def downgrade() -> None:
    for table in ("messages", "channels", "watches", "packs", "maintenances", "acts"):
        op.drop_table(f"alarm_{table}")
    with op.batch_alter_table("alarms", schema=None) as batch_op:
        batch_op.drop_index("ix_alarms_area")
        for name in _INDEXED:
            batch_op.drop_index(batch_op.f(f"ix_alarms_{name}"))
        for name, _kind in reversed(_NEW):
            batch_op.drop_column(name)
        batch_op.drop_column("escalated")
        batch_op.drop_column("severity")
