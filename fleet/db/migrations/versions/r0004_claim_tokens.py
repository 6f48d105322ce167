"""Claim tokens, what was claimed by them, and HMAC keys of nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claim_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=100), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False),
        sa.Column("node_type", sa.String(length=40), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "used >= 0 AND used <= count", name=op.f("ck_claim_tokens_not_overdrawn")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claim_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_claim_tokens_digest")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("claim_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_claim_tokens_person"), ["person"], unique=False)

    op.create_table(
        "token_claims",
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("claimed_us", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["token_id"], ["claim_tokens.id"], name=op.f("fk_token_claims_token_id_claim_tokens")
        ),
        sa.PrimaryKeyConstraint("token_id", "node_id", name=op.f("pk_token_claims")),
    )

    op.create_table(
        "node_hmac_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("node_id", sa.String(length=10), nullable=False),
        sa.Column("current_for", sa.String(length=10), nullable=True),
        sa.Column("next_for", sa.String(length=10), nullable=True),
        sa.Column("secret", sa.LargeBinary(length=80), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node_hmac_keys")),
        sa.UniqueConstraint("current_for", name=op.f("uq_node_hmac_keys_current_for")),
        sa.UniqueConstraint("next_for", name=op.f("uq_node_hmac_keys_next_for")),
    )
    with op.batch_alter_table("node_hmac_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_node_hmac_keys_node_id"), ["node_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("node_hmac_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_node_hmac_keys_node_id"))

    op.drop_table("node_hmac_keys")
    op.drop_table("token_claims")
    with op.batch_alter_table("claim_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_claim_tokens_person"))

    op.drop_table("claim_tokens")
