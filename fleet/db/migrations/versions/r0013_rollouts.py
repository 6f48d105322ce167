"""Rollouts: plans, their groups, counts and history, each terminal's update; tags and boards."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("why", sa.String(length=120), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("valve", sa.Boolean(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_account", sa.String(length=64), nullable=False),
        sa.Column("asked_us", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_account", sa.String(length=64), nullable=True),
        sa.Column("approved_us", sa.BigInteger(), nullable=True),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("group_no", sa.Integer(), nullable=False),
        sa.Column("joined_us", sa.BigInteger(), nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=False),
        sa.Column("budget_us", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
        sa.UniqueConstraint("name", name=op.f("uq_rollouts_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rollouts_due", "rollouts", ["due_us"])
    op.create_table(
        "rollout_groups",
        _rollout(),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=True),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        _belongs("rollout_groups"),
        sa.PrimaryKeyConstraint("rollout_id", "number", name=op.f("pk_rollout_groups")),
    )
    op.create_table(
        "rollout_counts",
        _rollout(),
        sa.Column("group_no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=17), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        _belongs("rollout_counts"),
        sa.PrimaryKeyConstraint("rollout_id", "group_no", "state", name=op.f("pk_rollout_counts")),
    )
    op.create_table(
        "rollout_cohorts",
        _rollout(),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offered", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        _belongs("rollout_cohorts"),
        sa.PrimaryKeyConstraint("rollout_id", "hour", name=op.f("pk_rollout_cohorts")),
    )
    op.create_table(
        "rollout_events",
        sa.Column("id", sa.Integer(), nullable=False),
        _rollout(),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        _belongs("rollout_events"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_events")),
    )
    op.create_index(op.f("ix_rollout_events_rollout_id"), "rollout_events", ["rollout_id"])
    _updates()
    _terminals()


def _updates() -> None:
    wide = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "updates",
        sa.Column("id", wide, nullable=False),
        _rollout(),
        sa.Column("group_no", sa.SmallInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("cell", sa.String(length=20), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=17), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("offered_us", sa.BigInteger(), nullable=True),
        sa.Column("absolute_us", sa.BigInteger(), nullable=True),
        sa.Column("step_us", sa.BigInteger(), nullable=True),
        sa.Column("step_s", sa.Integer(), nullable=True),
        sa.Column("moved_us", sa.BigInteger(), nullable=True),
        sa.Column("mark", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.Column("open_for", sa.String(length=10), nullable=True),
        _belongs("updates"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_updates")),
        sa.UniqueConstraint("node_id", "rollout_id", name=op.f("uq_updates_node_id")),
    )
    for name, column in (
        ("uq_updates_open_for", "open_for"),
        ("ix_updates_step", "step_us"),
        ("ix_updates_cell", "cell"),
    ):
        op.create_index(
            name,
            "updates",
            [column],
            unique=column == "open_for",
            sqlite_where=sa.text("open_for IS NOT NULL"),
            postgresql_where=sa.text("open_for IS NOT NULL"),
        )
    op.create_index("ix_updates_place", "updates", ["rollout_id", "place"])
    op.create_index(
        "ix_updates_reason",
        "updates",
        ["rollout_id", "state", "reason"],
        sqlite_where=sa.text("reason != ''"),
        postgresql_where=sa.text("reason != ''"),
    )
    op.create_index(
        "ix_updates_due",
        "updates",
        ["rollout_id", "group_no", "due_us", "place"],
        sqlite_where=sa.text("due_us IS NOT NULL"),
        postgresql_where=sa.text("due_us IS NOT NULL"),
    )


def _terminals() -> None:
    op.add_column("terminals", sa.Column("board", sa.String(length=32), nullable=True))
    op.create_index("ix_terminals_added", "terminals", ["added_us"])
    op.create_table(
        "terminal_tags",
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["terminals.id"], name=op.f("fk_terminal_tags_node_id_terminals")
        ),
        sa.PrimaryKeyConstraint("tag", "node_id", name=op.f("pk_terminal_tags")),
    )
    op.create_index(op.f("ix_terminal_tags_node_id"), "terminal_tags", ["node_id"])


def _rollout() -> sa.Column[int]:
    return sa.Column("rollout_id", sa.Integer(), nullable=False)


def _belongs(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_rollout_id_rollouts")
    return sa.ForeignKeyConstraint(["rollout_id"], ["rollouts.id"], name=name)


def downgrade() -> None:
    op.drop_table("terminal_tags")
    op.drop_index("ix_terminals_added", "terminals")
    with op.batch_alter_table("terminals", schema=None) as batch_op:
        batch_op.drop_column("board")
    op.drop_table("updates")
    for name in ("events", "cohorts", "counts", "groups"):
        op.drop_table(f"rollout_{name}")
    op.drop_table("rollouts")
