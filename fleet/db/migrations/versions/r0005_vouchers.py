"""Vouchers, and what was claimed by them; a claim id has 11 characters."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAMES = (
    ("oscore_contexts", "node_id", False),
    ("oscore_contexts", "current_for", True),
    ("oscore_contexts", "next_for", True),
    ("dead_letters", "node_id", False),
)


def upgrade() -> None:
    op.create_table(
        "vouchers",
        sa.Column("id", sa.String(length=11), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False),
        sa.Column("node_type", sa.String(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("issued_us", sa.BigInteger(), nullable=False),
        sa.Column("not_after_us", sa.BigInteger(), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=True),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["serial"], ["certificates.serial"], name=op.f("fk_vouchers_serial_certificates")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vouchers")),
        sa.UniqueConstraint("serial", name=op.f("uq_vouchers_serial")),
    )
    op.create_index(op.f("ix_vouchers_person"), "vouchers", ["person"])
    op.create_index(op.f("ix_vouchers_not_after_us"), "vouchers", ["not_after_us"])
    op.create_table(
        "voucher_claims",
        sa.Column("voucher_id", sa.String(length=11), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("csr_digest", sa.String(length=64), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("spare", sa.LargeBinary(), nullable=True),
        sa.Column("claimed_us", sa.BigInteger(), nullable=False),
        sa.Column("waiting_for", sa.String(length=10), nullable=True),
        sa.ForeignKeyConstraint(
            ["voucher_id"], ["vouchers.id"], name=op.f("fk_voucher_claims_voucher_id_vouchers")
        ),
        sa.PrimaryKeyConstraint("voucher_id", name=op.f("pk_voucher_claims")),
        sa.UniqueConstraint("waiting_for", name=op.f("uq_voucher_claims_waiting_for")),
    )
    op.create_index(op.f("ix_voucher_claims_node_id"), "voucher_claims", ["node_id"])
    _names(10, 11)


def downgrade() -> None:
    _names(11, 10)
    op.drop_table("voucher_claims")
    op.drop_table("vouchers")


def _names(before: int, after: int) -> None:
    for table, column, nullable in _NAMES:
        more = {"sqlite_autoincrement": True} if table == "oscore_contexts" else {}
        with op.batch_alter_table(table, schema=None, table_kwargs=more) as batch_op:
            batch_op.alter_column(
                column,
                existing_type=sa.String(length=before),
                type_=sa.String(length=after),
                existing_nullable=nullable,
            )
