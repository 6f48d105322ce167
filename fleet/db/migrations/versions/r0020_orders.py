"""Texts for boxes on their own connections."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_AGAIN = "OLD.open_for IS NULL OR (OLD.state = 'sent' AND NEW.state = 'open')"
_TEXT = "an order that was sent is never sent again"


def upgrade() -> None:
    op.create_table(
        "legacy_orders",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("terminal_id", sa.String(length=10), nullable=False),
        sa.Column("open_for", sa.String(length=10), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("text", sa.String(length=160), nullable=False),
        sa.Column("expects", sa.String(length=200), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("sent_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.String(length=1000), nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'sent', 'answered', 'silent', 'withdrawn', 'refused', 'unknown')",
            name=op.f("ck_legacy_orders_state"),
        ),
        sa.CheckConstraint(
            "(open_for IS NULL) = (state NOT IN ('open', 'sent'))",
            name=op.f("ck_legacy_orders_open"),
        ),
        sa.ForeignKeyConstraint(
            ["terminal_id"],
            ["terminals.id"],
            name=op.f("fk_legacy_orders_terminal_id_terminals"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legacy_orders")),
        sa.UniqueConstraint("open_for", name=op.f("uq_legacy_orders_open_for")),
    )
    op.create_index(
        op.f("ix_legacy_orders_terminal_id"), "legacy_orders", ["terminal_id"], unique=False
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER IF NOT EXISTS legacy_orders_once BEFORE UPDATE ON legacy_orders"
            f" WHEN {_AGAIN} BEGIN SELECT RAISE(ABORT, '{_TEXT}'); END"
        )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION legacy_orders_once() RETURNS trigger AS $$ BEGIN"
        f" IF {_AGAIN} THEN RAISE EXCEPTION '{_TEXT}'; END IF; RETURN NEW; END $$"
        " LANGUAGE plpgsql"
    )
    op.execute(
        "CREATE OR REPLACE TRIGGER legacy_orders_once BEFORE UPDATE ON legacy_orders"
        " FOR EACH ROW EXECUTE FUNCTION legacy_orders_once()"
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_legacy_orders_terminal_id"), table_name="legacy_orders")
    op.drop_table("legacy_orders")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION legacy_orders_once()")
